// How many bits a weight of each expert has, where experts travel to a GPU and every byte counts.
//
// A policy decides widths; a codec says what a width costs: bytes on the bus and in the cache, and time to decode.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/config/registry.h"
#include "sim/core/units.h"
#include "sim/moe/offload/cache.h"

namespace moesim {

struct BitInput {
  int32_t layers = 0;  // MoE layers
  int32_t experts = 0;
  std::span<const int64_t> past_load;  // [item] tokens in the training part
  std::string folder;                  // where paths in a policy's settings start; the scenario's
};

// [item] bits a weight, above 0 and at most 16: as stored, without what a codec adds. They need not be whole numbers.
struct BitPolicy {
  using Input = BitInput;
  using Decision = std::vector<double>;
  static constexpr const char* kind = "expert bits";
};

constexpr double kBitsMax = 16;

// Of a setting that is a width.
inline Range<double> bit_range() { return {0, kBitsMax, true}; }

// CHECKs that there is a width for each expert, and that all are in range.
void check_bits(const BitInput& in, std::span<const double> bits);

// How weights of one width are stored.
struct Codec {
  std::string name;
  double bits = kBitsMax;
  int32_t group = 0;
  int32_t group_bits = 16;
  std::optional<Rate> decode;
};

template <class Visitor>
void fields(Visitor& v, Codec& s) {
  v.optional("name", s.name, "for people");
  v.required("bits", s.bits, bit_range(), "the width that it is for, as a policy decides it");
  v.optional("group", s.group, between(0, 1 << 20), "weights that share a scale; 0: no scales are stored");
  v.optional("group_bits", s.group_bits, between(0, 256), "of a group's scale and zero point");
  v.optional("decode", s.decode, above(Rate{0}),
             "stored bytes that a GPU decodes before it uses them; without it decoding is part of the kernels");
}

// Two codecs of one width are a fault.
void check_codecs(std::span<const Codec> codecs,
                  const std::function<void(std::string key, std::string message)>& fault);

// The one for this width; where none is, one that stores the bits and nothing else.
Codec codec_for(std::span<const Codec> codecs, double bits);

// Of so many weights, rounded up; exact for widths of up to six decimal digits, such as 0.8.
Bytes stored_bytes(const Codec& codec, int64_t values);

// [item] stored bytes of experts of so many weights each, whose widths a policy has decided.
std::vector<Bytes> item_bytes(std::span<const double> bits, std::span<const Codec> codecs, int64_t values);

// Zero for a codec without a rate.
Duration decode_time(const Codec& codec, Bytes stored);

}  // namespace moesim
