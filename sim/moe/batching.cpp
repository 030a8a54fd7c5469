#include "sim/moe/batching.h"

#include "sim/core/check.h"

namespace moesim {

void check_batches(const std::vector<int32_t>& batch_of, const BatchingInput& in) {
  CHECK(int64_t(batch_of.size()) == in.requests);
  std::vector<int64_t> size(size_t(in.batches), 0);
  for (const int32_t batch : batch_of) {
    CHECK(batch >= 0 && batch < in.batches);
    ++size[size_t(batch)];
  }
  for (const int64_t requests : size) CHECK(requests * in.batches == in.requests);
}

}  // namespace moesim
