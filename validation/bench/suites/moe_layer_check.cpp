#include "validation/bench/suites/moe_layer_check.h"

#include <memory>
#include <span>
#include <string>

#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/reference/reference.h"
#include "validation/bench/suites/cluster_suites.h"
#include "validation/bench/suites/communication.h"
#include "validation/bench/suites/moe_layer_device.h"

namespace moesim::bench {
namespace {

constexpr double bound = 1e-2;  // of bf16, as for the kernels

std::vector<float> floats(const DeviceArray<bf16>& array) {
  std::vector<float> values;
  for (const bf16 value : array.download()) values.push_back(float(value));
  return values;
}

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// Weights of all experts, in the layout of one rank that holds them all.
struct HostWeights {
  std::vector<float> router, up, down;
};

HostWeights all_weights(const Gpu& gpu, const LayerShape& shape, int layer) {
  Gpu alone = gpu;
  alone.rank = 0;
  alone.ranks = 1;
  const LayerWeights weights = make_weights(alone, shape, layer);
  check_cuda(cudaStreamSynchronize(gpu.stream));
  return {floats(weights.router), floats(weights.up), floats(weights.down)};
}

// [tokens, d]: the layer's definition, without permutation between ranks or chunks.
std::vector<double> layer_of(const LayerShape& s, const HostWeights& weights, const std::vector<float>& x,
                             const std::vector<int32_t>& ids) {
  const int tokens = int(ids.size()) / s.k;
  const std::vector<int32_t> all_tokens{0, tokens};
  const auto scores = reference::grouped_gemm(x, weights.router, all_tokens, {tokens, 1, s.experts, s.d});
  const auto gate = reference::softmax_top_k(floats(scores), tokens, s.experts, s.k, Normalize::yes);
  const auto order = reference::order_by_expert(ids, tokens, s.k, s.experts);
  const int rows = tokens * s.k;
  const auto permuted = reference::gather_rows(x, order.row_of_slot, s.d);
  const auto up = reference::grouped_gemm(floats(permuted), weights.up, order.offsets, {rows, s.experts, 2 * s.f, s.d});
  const auto active = reference::swiglu(floats(up), rows, s.f);
  const auto down = reference::grouped_gemm(floats(active), weights.down, order.offsets, {rows, s.experts, s.d, s.f});
  return reference::unpermute(floats(down), order.slot_of_choice, floats(gate.weights), tokens, s.k, s.d);
}

// Once as it is enqueued, once as a graph; the worse of both.
double error_of(Gpu& gpu, const LayerShape& shape, const Routing& routing, int chunks) {
  constexpr int layer_number = 7;
  const LayerWeights weights = make_weights(gpu, shape, layer_number);
  MoeLayer layer;
  set_up(layer, gpu, shape, routing, chunks);
  check_cuda(cudaStreamSynchronize(gpu.stream));
  const std::vector<double> expected =
      layer_of(shape, all_weights(gpu, shape, layer_number), floats(layer.x), routing.ids[size_t(gpu.rank)]);
  double error = 0;
  for (const Launch launch : {Launch::eager, Launch::graph}) {
    fill_poison(layer.out.data(), layer.out.size() * sizeof(bf16), gpu.stream);
    fill_poison(layer.returned.data(), layer.returned.size() * sizeof(bf16), gpu.stream);
    check_cuda(cudaStreamSynchronize(gpu.stream));
    const Repeat once{.warm_up = 1, .samples_min = 1, .samples_max = 1, .seconds_max = 0, .calls = 1};
    time_on_gpu(gpu, launch, once, [&] { run_layer(layer, gpu, weights); });
    check_cuda(cudaStreamSynchronize(gpu.stream));
    const double here = reference::relative_error(floats(layer.out), expected);
    if (!(here <= error)) error = here;
  }
  return error;
}

void check_shape(Bench& bench, const LayerShape& shape, const RoutingCase& c, int chunks) {
  const Routing routing = draw_routing(shape, c);
  std::vector<double> errors(bench.gpus.size());
  const Gpu* first = bench.gpus.data();
  on_every_gpu(bench, [&](Gpu& gpu) { errors[size_t(&gpu - first)] = error_of(gpu, shape, routing, chunks); });
  for (size_t gpu = 0; gpu < errors.size(); ++gpu)
    record_check(bench, "moe_layer",
                 "rank " + std::to_string(bench.gpus[gpu].rank) + " of " + std::to_string(c.ranks) + ", d " +
                     std::to_string(shape.d) + ", f " + std::to_string(shape.f) + ", experts " +
                     std::to_string(shape.experts) + ", k " + std::to_string(shape.k) + ", tokens " +
                     std::to_string(c.tokens_per_rank) + ", chunks " + std::to_string(chunks),
                 errors[gpu], bound);
}

}  // namespace

void check_moe_layer(Bench& bench) {
  const int ranks = bench.gpus.front().ranks;
  const bool alone = !why_not_connected(bench).empty();
  // Many tokens an expert; few, so that most experts have none; an odd number of experts, which ranks share unevenly.
  const std::vector<std::pair<LayerShape, RoutingCase>> cases{
      {{"", 256, 128, 16, 4}, {ranks, 200, 0.5, 11}},
      {{"", 256, 192, 64, 2}, {ranks, 5, 1.0, 12}},
      {{"", 512, 96, 41, 8}, {ranks, 67, 1.0, 13}},
  };
  for (const auto& [shape, c] : cases)
    for (const int chunks : alone ? std::vector<int>{1} : std::vector<int>{1, 2, 4})
      check_shape(bench, shape, c, chunks);
}

}  // namespace moesim::bench
