// One width for all experts.

#include "sim/moe/offload/bits.h"

namespace moesim {
namespace {

struct UniformBitsOptions {
  double bits = kBitsMax;
};

template <class Visitor>
void fields(Visitor& v, UniformBitsOptions& s) {
  v.optional("bits", s.bits, bit_range(), "of each weight");
}

std::vector<double> bits_uniform(const BitInput& in, const UniformBitsOptions& options, Rng&) {
  return std::vector<double>(size_t(in.layers) * size_t(in.experts), options.bits);
}

[[maybe_unused]] const bool registered =
    Registry<BitPolicy>::instance().add("uniform", "the same for every expert", bits_uniform);

}  // namespace
}  // namespace moesim
