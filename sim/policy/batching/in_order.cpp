// Requests in the order of their arrival.

#include "sim/moe/batching.h"

namespace moesim {
namespace {

std::vector<int32_t> batch_in_order(const BatchingInput& in, const NoOptions&, Rng&) {
  std::vector<int32_t> batch_of;
  for (int64_t request = 0; request < in.requests; ++request)
    batch_of.push_back(int32_t(request * in.batches / in.requests));
  return batch_of;
}

[[maybe_unused]] const bool registered =
    Registry<BatchingPolicy>::instance().add("in_order", "requests in the order of their arrival", batch_in_order);

}  // namespace
}  // namespace moesim
