// VSLPipe of MoE-Lens (arXiv 2504.09345): while the CPU attends for one group of requests, the GPU finishes a layer for
// the other and projects for the next. A data mover brings weights in packets, all the time, into a buffer of two
// layers. The two groups are the micro-batches, of half a batch unless said otherwise.
#include <algorithm>

#include "sim/moe/offload/pipeline.h"

namespace moesim {
namespace {

constexpr int64_t kPacketsMax = 4096;

struct VslpipeOptions {
  Bytes packet{100'000'000};
};

template <class Visitor>
void fields(Visitor& v, VslpipeOptions& s) {
  v.optional("packet", s.packet, between(Bytes{1'000'000}, Bytes{100'000'000'000}), "weights that travel at once");
}

PipelinePlan order_vslpipe(const PipelineInput& in, const VslpipeOptions& options, Rng&) {
  const int64_t packets = (in.layer_weights.count + options.packet.count - 1) / options.packet.count;
  PipelineWriter plan(in, int32_t(std::clamp<int64_t>(packets, 1, kPacketsMax)), 2);
  for (int32_t m = 0; m < in.micro_batches; ++m) plan.attend(0, m);
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    plan.load_layer(layer + 1);
    for (int32_t m = 0; m < in.micro_batches; ++m) {
      plan.finish(layer, m);
      plan.attend(layer + 1, m);
    }
  }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<PipelineOrder>::instance().add(
    "vslpipe", "groups of requests alternate between CPU and GPU, weights come in packets", order_vslpipe);

}  // namespace
}  // namespace moesim
