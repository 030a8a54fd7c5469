#include "sim/moe/offload/throughput_model.h"

#include <algorithm>

namespace moesim {

double streamed_intensity(double tokens, const ExpertChoice& choice) {
  // 2 flops for each weight that a token uses, 2 bytes for each weight that travels.
  return tokens * double(choice.top_k) / double(choice.experts);
}

double saturating_tokens(FlopRate gpu, Rate link, const ExpertChoice& choice) {
  return gpu.flop_per_s / link.bytes_per_s * double(choice.experts) / double(choice.top_k);
}

double parallelism_memory_efficiency(const RequestShape& shape) {
  return 2 * (shape.prompt + shape.generated) / ((2 * shape.prompt + shape.generated) * shape.generated);
}

Duration streaming_time(Bytes weights, Rate link) { return transfer_time(weights, link); }

double throughput_bound(const RequestShape& shape, double cached_tokens, Duration streaming, double gpu_tokens_per_s) {
  return std::min(parallelism_memory_efficiency(shape) * cached_tokens / streaming.seconds(), gpu_tokens_per_s);
}

Rate host_memory_rate(Rate cache, Rate link) { return {cache.bytes_per_s + link.bytes_per_s}; }

FlopRate cpu_attention_rate(double sharing, double intensity, Rate cache) {
  return {2 * sharing * intensity * cache.bytes_per_s};
}

double effective_capacity_factor(const RequestShape& shape) {
  return (shape.prompt + shape.generated) / (shape.prompt + shape.generated / 2);
}

FlopRate attainable(const RooflineLevel& level, double intensity) {
  return {std::min(level.compute.flop_per_s, level.memory.bytes_per_s * intensity)};
}

FlopRate attainable(const RooflineLevel& level, double intensity, Rate link, double far_intensity) {
  return {std::min(attainable(level, intensity).flop_per_s, link.bytes_per_s * far_intensity)};
}

double worth_moving(const RooflineLevel& lower, Rate link) {
  // Where the link is slower than the lower memory, its roof meets the lower processor's where that is flat.
  return lower.compute.flop_per_s / link.bytes_per_s;
}

double link_balance(const RooflineLevel& upper, double intensity, Rate link) {
  return attainable(upper, intensity).flop_per_s / link.bytes_per_s;
}

Duration LayerBounds::longest() const { return std::max({link, gpu, cpu}); }

LayerBounds layer_bounds(const LayerDemand& demand, Rate link, const RooflineLevel& gpu, const RooflineLevel& cpu) {
  const auto time_on = [](Bytes bytes, double flops, const RooflineLevel& level) {
    return std::max(transfer_time(bytes, level.memory), duration_of_seconds(flops / level.compute.flop_per_s));
  };
  return {transfer_time(demand.link, link), time_on(demand.gpu_memory, demand.gpu_flops, gpu),
          time_on(demand.cpu_memory, demand.cpu_flops, cpu)};
}

}  // namespace moesim
