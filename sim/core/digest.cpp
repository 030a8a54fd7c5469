#include "sim/core/digest.h"

#include <fmt/core.h>

#include "sim/core/random.h"

namespace moesim {

uint64_t Digest::mix(uint64_t z) { return splitmix64(z); }

std::string Digest::hex() const { return fmt::format("{:016x}", value()); }

}  // namespace moesim
