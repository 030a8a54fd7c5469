// A queue for each expert, and the longest is drained first until the batch is full: Read-ME's batching (arXiv
// 2410.19123, algorithm 1), whose router knows a token's expert before the first layer, and it is the same in all. Here
// a request stands in the queue of the expert predicted for most of its tokens in the first MoE layer.

#include <algorithm>

#include "sim/moe/batching.h"

namespace moesim {
namespace {

std::vector<int32_t> batch_by_queue(const BatchingInput& in, const NoOptions&, Rng&) {
  const std::vector<float> expected = in.expected();
  const size_t experts = size_t(in.experts);
  std::vector<std::vector<int64_t>> queue(experts);
  for (int64_t request = 0; request < in.requests; ++request) {
    const auto row = std::span(expected).subspan(size_t(request) * size_t(in.layers) * experts, experts);
    queue[size_t(std::max_element(row.begin(), row.end()) - row.begin())].push_back(request);
  }
  std::vector<int32_t> batch_of(size_t(in.requests), 0);
  int64_t placed = 0;
  while (placed < in.requests) {
    auto& longest =
        *std::max_element(queue.begin(), queue.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    const int64_t batch = placed * in.batches / in.requests;
    const int64_t room = (batch + 1) * in.requests / in.batches - placed;
    const int64_t taken = std::min(room, int64_t(longest.size()));
    for (int64_t i = 0; i < taken; ++i) batch_of[size_t(longest[size_t(i)])] = int32_t(batch);
    longest.erase(longest.begin(), longest.begin() + taken);
    placed += taken;
  }
  return batch_of;
}

[[maybe_unused]] const bool registered = Registry<BatchingPolicy>::instance().add(
    "longest_queue", "the longest queue of requests with the same first expert is drained first", batch_by_queue);

}  // namespace
}  // namespace moesim
