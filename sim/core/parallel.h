// Independent jobs on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace moesim {

// Runs body(0) ... body(count - 1) on that many threads, the caller's among them, in any order. Jobs must not depend on
// each other. All are run; then the exception of the lowest index, if any, is rethrown.
void for_all(size_t count, size_t threads, const std::function<void(size_t)>& body);

}  // namespace moesim
