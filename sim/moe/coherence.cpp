#include "sim/moe/coherence.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Where a token is after a layer: with its first expert, or where it was if it has none.
int32_t gpu_after(std::span<const uint16_t> chosen, int32_t gpu, const std::vector<std::vector<GpuId>>& hosts,
                  const Layout& layout) {
  for (const uint16_t expert : chosen)
    if (expert != kNoExpert)
      return int32_t(layout.gpu_of_expert_rank(layout.expert_group(GpuId(gpu)), int32_t(hosts[expert].front())));
  return gpu;
}

}  // namespace

CoherentStep coherent_step(const StepRouting& plain, const Batch& batch, const Placement& placement,
                           const Layout& layout) {
  CHECK(layout.tp == 1);
  CHECK(!plain.is_counts());
  const size_t tokens = size_t(plain.tokens);
  std::vector<int32_t> gpu_of;
  std::vector<Request> request_of;
  for (size_t rank = 0; rank < batch.ranks.size(); ++rank)
    for (const Request& request : batch.ranks[rank]) {
      CHECK(request.new_tokens == 1);
      gpu_of.push_back(int32_t(rank));
      request_of.push_back(request);
    }
  CHECK(gpu_of.size() == tokens);
  CoherentStep step{plain, {}, {}};
  for (int32_t layer = 0; layer < plain.layers; ++layer) {
    std::vector<int64_t>& first = step.routing.first_in_layer.emplace_back(1, 0);
    std::vector<int32_t>& next = step.next_gpu.emplace_back();
    std::vector<std::vector<Request>>& held = step.batch_in_layer.emplace_back().ranks;
    std::vector<int32_t> after(tokens);
    for (int32_t gpu = 0; gpu < layout.gpus; ++gpu) {
      std::vector<Request>& here = held.emplace_back();
      for (size_t token = 0; token < tokens; ++token) {
        if (gpu_of[token] != gpu) continue;
        const auto chosen = plain.choices(layer, int64_t(token));
        const int64_t slot = int64_t{layer} * plain.tokens + int64_t(next.size());
        std::copy(chosen.begin(), chosen.end(), step.routing.ids.begin() + slot * plain.top_k);
        after[token] = gpu_after(chosen, gpu, placement.hosts[size_t(layer)], layout);
        next.push_back(after[token]);
        here.push_back(request_of[token]);
      }
      first.push_back(int64_t(next.size()));
    }
    gpu_of = std::move(after);
  }
  return step;
}

}  // namespace moesim
