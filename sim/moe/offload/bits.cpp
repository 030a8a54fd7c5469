#include "sim/moe/offload/bits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {

void check_bits(const BitInput& in, std::span<const double> bits) {
  CHECK(bits.size() == size_t(in.layers) * size_t(in.experts));
  for (const double width : bits) CHECK(width > 0 && width <= kBitsMax);
}

void check_codecs(std::span<const Codec> codecs,
                  const std::function<void(std::string key, std::string message)>& fault) {
  for (size_t i = 0; i < codecs.size(); ++i)
    for (size_t other = 0; other < i; ++other)
      if (codecs[i].bits == codecs[other].bits)
        fault("codecs", fmt::format("two are for {} bits, {} and {}", codecs[i].bits, other, i));
}

Codec codec_for(std::span<const Codec> codecs, double bits) {
  const auto found = std::find_if(codecs.begin(), codecs.end(), [&](const Codec& c) { return c.bits == bits; });
  if (found != codecs.end()) return *found;
  return {.name = "plain", .bits = bits, .group = 0, .group_bits = 0, .decode = {}};
}

// In millionths of a bit, so that 0.8 bits of ten weights are one byte and not one and a rounding error.
Bytes stored_bytes(const Codec& codec, int64_t values) {
  constexpr int64_t kParts = 1'000'000;
  CHECK(values >= 0);
  const int64_t parts_per_value = std::llround(codec.bits * double(kParts));
  const int64_t groups = codec.group > 0 ? (values + codec.group - 1) / codec.group : 0;
  const __int128 parts = __int128{values} * parts_per_value + __int128{groups} * codec.group_bits * kParts;
  return {int64_t((parts + 8 * kParts - 1) / (8 * kParts))};
}

std::vector<Bytes> item_bytes(std::span<const double> bits, std::span<const Codec> codecs, int64_t values) {
  std::vector<Bytes> bytes;
  bytes.reserve(bits.size());
  for (const double width : bits) bytes.push_back(stored_bytes(codec_for(codecs, width), values));
  return bytes;
}

Duration decode_time(const Codec& codec, Bytes stored) {
  return codec.decode ? transfer_time(stored, *codec.decode) : Duration{};
}

}  // namespace moesim
