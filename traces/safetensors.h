// Tensors of whole numbers in a .safetensors file: 8 bytes with the length of a JSON header, the header, the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace moesim {

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<int64_t> values;
};

// In the order of the header; a tensor of another type than I8 to I64 and U8 to U32 is refused. Throws one ConfigError
// with all that is wrong; `source` is what it calls the file.
std::vector<Tensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& source);

}  // namespace moesim
