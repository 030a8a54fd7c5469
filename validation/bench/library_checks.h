// The checks of the kernels, with the library's beside ours.
#pragma once

#include "validation/bench/bench.h"

namespace moesim::bench {

// Records each check. A kernel that is wrong makes the recorder say that something failed.
void check_all(Bench& bench, Gpu& gpu);

}  // namespace moesim::bench
