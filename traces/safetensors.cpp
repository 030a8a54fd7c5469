#include "traces/safetensors.h"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "sim/config/reader.h"

namespace moesim {
namespace {

constexpr uint64_t kHeaderMax = uint64_t{100} << 20;  // as the format's own reader has it

struct TensorRecord {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<int64_t> data_offsets;
};

template <class Visitor>
void fields(Visitor& v, TensorRecord& r) {
  v.required("dtype", r.dtype, "type of the values");
  v.required("shape", r.shape, between(int64_t{0}, int64_t{1} << 31), "extents");
  v.required("data_offsets", r.data_offsets, at_least(int64_t{0}), "begin and end in the data, bytes");
}

template <class Stored>
int64_t value_at(std::span<const std::byte> data, size_t i) {
  Stored value{};
  std::memcpy(&value, data.data() + i * sizeof(Stored), sizeof(Stored));
  return int64_t(value);
}

struct StoredType {
  std::string_view name;
  size_t bytes;
  int64_t (*value)(std::span<const std::byte> data, size_t i);
};

constexpr std::array<StoredType, 7> kTypes = {{{"I64", 8, value_at<int64_t>},
                                               {"I32", 4, value_at<int32_t>},
                                               {"U32", 4, value_at<uint32_t>},
                                               {"I16", 2, value_at<int16_t>},
                                               {"U16", 2, value_at<uint16_t>},
                                               {"I8", 1, value_at<int8_t>},
                                               {"U8", 1, value_at<uint8_t>}}};

const StoredType* find_type(const std::string& name) {
  for (const StoredType& type : kTypes)
    if (type.name == name) return &type;
  return nullptr;
}

// Elements of the shape, or none where they are more than could lie in any file.
std::optional<int64_t> elements_of(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t extent : shape)
    if (__builtin_mul_overflow(elements, extent, &elements)) return {};
  return elements;
}

// What is wrong with a record that can be read, or "".
std::string record_fault(const TensorRecord& record, const StoredType* type, size_t data_bytes) {
  if (type == nullptr) return fmt::format("dtype is {}, but whole numbers are read", in_quotes(record.dtype));
  if (record.data_offsets.size() != 2) return "data_offsets must be two numbers";
  const auto [begin, end] = std::array{record.data_offsets[0], record.data_offsets[1]};
  if (begin > end || uint64_t(end) > data_bytes)
    return fmt::format("its bytes {} to {} are not among the {} of the data", begin, end, data_bytes);
  const std::optional<int64_t> elements = elements_of(record.shape);
  if (!elements || *elements != (end - begin) / int64_t(type->bytes) || (end - begin) % int64_t(type->bytes) != 0)
    return fmt::format("has {} bytes, which is not what its shape says", end - begin);
  return "";
}

}  // namespace

std::vector<Tensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) throw ConfigError(source, "is no .safetensors: it is too short");
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kHeaderMax || length > bytes.size() - sizeof(length))
    throw ConfigError(source, fmt::format("is no .safetensors: a header of {} bytes does not fit in it", length));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(length), size_t(length));
  const std::span<const std::byte> data = bytes.subspan(sizeof(length) + size_t(length));
  const JsonNode header = parse_json(text, source);
  std::vector<Fault> faults;
  if (header.kind != JsonKind::object) throw ConfigError(source, "its header must be an object");
  std::vector<Tensor> tensors;
  const Place top;
  for (const JsonNode& node : header.children) {
    if (node.key == "__metadata__") continue;
    const Place place{&top, node.key};
    TensorRecord record;
    const size_t faults_before = faults.size();
    read_fields(node, place, record, faults);
    if (faults.size() != faults_before) continue;
    const StoredType* const type = find_type(record.dtype);
    const std::string fault = record_fault(record, type, data.size());
    if (!fault.empty()) {
      add_fault(faults, node, place, fault);
      continue;
    }
    Tensor& tensor = tensors.emplace_back();
    tensor.name = node.key;
    tensor.shape = record.shape;
    const auto of_tensor = data.subspan(size_t(record.data_offsets[0]));
    for (size_t i = 0; i < size_t(record.data_offsets[1] - record.data_offsets[0]) / type->bytes; ++i)
      tensor.values.push_back(type->value(of_tensor, i));
  }
  throw_if_any(source, std::move(faults));
  return tensors;
}

}  // namespace moesim
