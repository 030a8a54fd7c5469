#include "sim/core/interrupt.h"

namespace moesim {

std::atomic<bool> interrupted = false;

}  // namespace moesim
