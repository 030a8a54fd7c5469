// No shuffling: requests and tokens stay where they are.

#include "sim/moe/shuffle.h"

namespace moesim {
namespace {

std::vector<int32_t> shuffle_none(const ShuffleInput& in, const NoOptions&, Rng&) {
  return {in.home.begin(), in.home.end()};
}

[[maybe_unused]] const bool registered =
    Registry<ShufflePolicy>::instance().add("none", "requests and tokens stay where they are", shuffle_none);

}  // namespace
}  // namespace moesim
