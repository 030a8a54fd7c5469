// One array of numpy's .npy format, versions 1 to 3: little endian, C order, plain numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moesim {

enum class NpyType { u1, u2, i1, i2, i4, i8, f2, f4, f8 };

struct NpyHeader {
  NpyType type = NpyType::u1;
  std::vector<int64_t> shape;  // empty for a single number
  size_t data_at = 0;          // bytes before the data
};

size_t bytes_of(NpyType type);
bool is_integer(NpyType type);
bool is_signed(NpyType type);
int64_t values_of(const NpyHeader& header);  // the product of the shape, which has been checked to fit

// A header is at most this long; a longer one is refused.
inline constexpr size_t kNpyHeaderMax = size_t{1} << 16;

// Reads the header at the beginning of an array; `bytes` may hold more, or the first kNpyHeaderMax only.
// Throws std::invalid_argument with what is wrong with it.
NpyHeader parse_npy_header(std::span<const std::byte> bytes);

// Whole values, as they lie in the file.
std::vector<int64_t> integers_of(NpyType type, std::span<const std::byte> bytes);  // of an integer type
std::vector<float> floats_of(NpyType type, std::span<const std::byte> bytes);      // of a floating-point type

// The header (version 1) of an array to be written, padded as numpy pads it.
std::string npy_header(NpyType type, const std::vector<int64_t>& shape);

}  // namespace moesim
