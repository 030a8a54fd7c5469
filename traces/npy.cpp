#include "traces/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cctype>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "sim/core/check.h"
#include "traces/half.h"

namespace moesim {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kValuesMax = int64_t{1} << 40;  // beyond every limit of a trace, and far from overflow in bytes
constexpr size_t kDimensionsMax = 8;

constexpr auto kTypes = std::to_array<std::pair<std::string_view, NpyType>>({{"|u1", NpyType::u1},
                                                                             {"<u2", NpyType::u2},
                                                                             {"|i1", NpyType::i1},
                                                                             {"<i2", NpyType::i2},
                                                                             {"<i4", NpyType::i4},
                                                                             {"<i8", NpyType::i8},
                                                                             {"<f2", NpyType::f2},
                                                                             {"<f4", NpyType::f4},
                                                                             {"<f8", NpyType::f8}});

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

// Reads the dictionary literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } in any order of its keys.
class HeaderText {
 public:
  explicit HeaderText(std::string_view text) : rest_(text) {}

  NpyHeader parse() {
    std::optional<NpyType> type;
    std::optional<std::vector<int64_t>> shape;
    std::optional<bool> fortran_order;
    expect('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !type)
        type = parse_type();
      else if (key == "fortran_order" && !fortran_order)
        fortran_order = boolean();
      else if (key == "shape" && !shape)
        shape = tuple();
      else
        refuse(fmt::format("the header has an unexpected key '{}'", key));
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (!type || !shape || !fortran_order) refuse("the header lacks descr, fortran_order or shape");
    if (*fortran_order && shape->size() > 1) refuse("the array is in Fortran order; save it in C order");
    return {*type, *shape, 0};
  }

 private:
  bool take(char wanted) {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0]))) rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) refuse(fmt::format("the header is malformed: '{}' is missing", wanted));
  }

  std::string_view quoted() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) refuse("the header is malformed: a text does not end");
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  NpyType parse_type() {
    if (take('[')) refuse("the array holds records; only plain numbers are read");
    const std::string_view name = quoted();
    for (const auto& [known, type] : kTypes)
      if (name == known || (name.size() == 3 && name.substr(1) == "u1" && known == "|u1")) return type;
    refuse(fmt::format("the type '{}' is not one of |u1, <u2, <i4, <i8, <f2, <f4, <f8", name.substr(0, 32)));
  }

  bool boolean() {
    take(' ');
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (skip_space().substr(0, word.size()) == word) {
        rest_.remove_prefix(word.size());
        return value;
      }
    refuse("the header is malformed: fortran_order must be True or False");
  }

  std::string_view skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0]))) rest_.remove_prefix(1);
    return rest_;
  }

  int64_t integer() {
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < skip_space().size() && digits < 16 && std::isdigit(static_cast<unsigned char>(rest_[digits]));
         ++digits)
      value = value * 10 + (rest_[digits] - '0');
    if (digits == 0) refuse("the header is malformed: the shape must hold whole numbers");
    rest_.remove_prefix(digits);
    return value;
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> shape;
    int64_t values = 1;
    expect('(');
    while (!take(')')) {
      shape.push_back(integer());
      if (shape.size() > kDimensionsMax) refuse("the array has too many dimensions");
      if (shape.back() > kValuesMax || (shape.back() > 0 && values > kValuesMax / shape.back()))
        refuse("the array is too large");
      values *= std::max<int64_t>(shape.back(), 1);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view rest_;
};

template <class Stored>
Stored stored_at(std::span<const std::byte> bytes, size_t index) {
  Stored value;
  std::memcpy(&value, bytes.data() + index * sizeof(Stored), sizeof(Stored));
  return value;
}

template <class Stored, class Value>
std::vector<Value> converted(std::span<const std::byte> bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    const Stored stored = stored_at<Stored>(bytes, i);
    values[i] = Value(stored);  // NOLINT(bugprone-signed-char-misuse): these are numbers of 8 bits, not characters
  }
  return values;
}

}  // namespace

size_t bytes_of(NpyType type) {
  switch (type) {
    case NpyType::u1:
    case NpyType::i1:
      return 1;
    case NpyType::u2:
    case NpyType::i2:
    case NpyType::f2:
      return 2;
    case NpyType::i4:
    case NpyType::f4:
      return 4;
    case NpyType::i8:
    case NpyType::f8:
      return 8;
  }
  CHECK(false);
}

bool is_integer(NpyType type) { return type <= NpyType::i8; }

bool is_signed(NpyType type) { return type != NpyType::u1 && type != NpyType::u2; }

int64_t values_of(const NpyHeader& header) {
  int64_t values = 1;
  for (const int64_t extent : header.shape) values *= extent;
  return values;
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic || text.size() < 12) refuse("this is no .npy array");
  const int version = static_cast<unsigned char>(text[6]);
  if (version < 1 || version > 3) refuse(fmt::format("the .npy version is {}, but 1 to 3 are read", version));
  const size_t begin = version == 1 ? 10 : 12;
  const size_t length =
      version == 1 ? stored_at<uint16_t>(bytes.subspan(8), 0) : stored_at<uint32_t>(bytes.subspan(8), 0);
  if (length > kNpyHeaderMax - begin) refuse(fmt::format("the header is {} bytes long, which is too long", length));
  if (text.size() < begin + length) refuse("the array ends within its header");
  NpyHeader header = HeaderText(text.substr(begin, length)).parse();
  header.data_at = begin + length;
  return header;
}

std::vector<int64_t> integers_of(NpyType type, std::span<const std::byte> bytes) {
  switch (type) {
    case NpyType::u1:
      return converted<uint8_t, int64_t>(bytes);
    case NpyType::u2:
      return converted<uint16_t, int64_t>(bytes);
    case NpyType::i1:
      return converted<int8_t, int64_t>(bytes);
    case NpyType::i2:
      return converted<int16_t, int64_t>(bytes);
    case NpyType::i4:
      return converted<int32_t, int64_t>(bytes);
    case NpyType::i8:
      return converted<int64_t, int64_t>(bytes);
    default:
      CHECK(false);
  }
}

std::vector<float> floats_of(NpyType type, std::span<const std::byte> bytes) {
  if (type == NpyType::f4) return converted<float, float>(bytes);
  if (type == NpyType::f8) return converted<double, float>(bytes);
  CHECK(type == NpyType::f2);
  std::vector<float> values;
  values.reserve(bytes.size() / 2);
  for (size_t i = 0; i < bytes.size() / 2; ++i) values.push_back(float_of_half(stored_at<uint16_t>(bytes, i)));
  return values;
}

std::string npy_header(NpyType type, const std::vector<int64_t>& shape) {
  std::string_view name;
  for (const auto& [known, each] : kTypes)
    if (each == type) name = known;
  const std::string comma = shape.size() == 1 ? "," : "";
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", name, fmt::join(shape, ", "), comma);
  const size_t before = kMagic.size() + 4;
  text.append(63 - (before + text.size()) % 64, ' ');  // so that the data begin at a multiple of 64 bytes
  text += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', char(text.size() & 0xFF), char(text.size() >> 8)};
  return header + text;
}

}  // namespace moesim
