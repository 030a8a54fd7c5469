// Ctrl-C, for long searches: what they have found so far is better than nothing.
#pragma once

#include <atomic>

namespace moesim {

// Set by main on the first SIGINT or SIGTERM. Who works long looks at it now and then and stops at a good place.
extern std::atomic<bool> interrupted;

}  // namespace moesim
