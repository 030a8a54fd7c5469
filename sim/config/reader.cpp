#include "sim/config/reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "sim/config/registry.h"
#include "sim/config/suggest.h"
#include "sim/config/units_text.h"

namespace moesim {
namespace {

template <class T>
bool in_range(const Range<T>& range, const T& value) {
  if (range.low && (range.low_is_open ? !(value > *range.low) : !(value >= *range.low))) return false;
  return !range.high || value <= *range.high;
}

// Each read_*() sets the value or adds a fault.

// Reads a whole number of T, also one written 1e3 or 2.0.
template <class T>
bool read_unlimited(const JsonNode& node, const Place& place, T& value, std::vector<Fault>& faults) {
  const char* const end = node.text.data() + node.text.size();
  const auto exact = std::from_chars(node.text.data(), end, value);
  if (exact.ec == std::errc() && exact.ptr == end) return true;

  double number = 0;  // the parser has seen to it that this is a number
  std::from_chars(node.text.data(), end, number);
  if (number != std::trunc(number)) {
    add_fault(faults, node, place, "must be a whole number, but is " + node.text);
    return false;
  }
  constexpr Range<T> kAll{std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), false};
  if (std::abs(number) > 0x1p53 || number < double(*kAll.low) || number > double(*kAll.high)) {
    const std::string range = range_text(value_type<T>().shape, range_bits<T>(kAll));
    add_fault(faults, node, place, "must be " + range + ", but is " + node.text);
    return false;
  }
  value = static_cast<T>(number);
  return true;
}

bool read_unlimited(const JsonNode& node, const Place& place, double& value, std::vector<Fault>& faults) {
  const auto result = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
  if (result.ec == std::errc()) return true;
  // Only what is too small is left to fail here: the parser has refused what is too large.
  add_fault(faults, node, place, node.text + " is too small for a double");
  return false;
}

template <class T>
void read_number(const JsonNode& node, const Place& place, const RangeBits& range, void* value,
                 std::vector<Fault>& faults) {
  if (node.kind != JsonKind::number) return add_type_fault(node, place, JsonKind::number, faults);
  T read{};
  if (!read_unlimited(node, place, read, faults)) return;
  if (!in_range(range_of_bits<T>(range), read))
    return add_fault(faults, node, place,
                     "must be " + range_text(value_type<T>().shape, range) + ", but is " + node.text);
  *static_cast<T*>(value) = read;
}

// A quantity is a string; a bare number is told that it lacks a unit.
template <class T>
void read_quantity(const JsonNode& node, const Place& place, const RangeBits& range, void* value,
                   std::vector<Fault>& faults) {
  const QuantityKind& kind = quantity_kind(T{});
  if (node.kind == JsonKind::number)
    return add_fault(
        faults, node, place,
        fmt::format("{} has no unit; write the {} as a string such as {}", node.text, kind.noun, kind.examples));
  if (node.kind != JsonKind::string) return add_type_fault(node, place, JsonKind::string, faults);
  T read;
  const std::string fault = parse_quantity(node.text, read);
  if (!fault.empty()) return add_fault(faults, node, place, fault);
  if (!in_range(range_of_bits<T>(range), read))
    return add_fault(faults, node, place,
                     "must be " + range_text(value_type<T>().shape, range) + ", but is " + quantity_text(read));
  *static_cast<T*>(value) = read;
}

void read_bool(const JsonNode& node, const Place& place, void* value, std::vector<Fault>& faults) {
  if (node.kind != JsonKind::boolean) return add_type_fault(node, place, JsonKind::boolean, faults);
  *static_cast<bool*>(value) = node.text == "true";
}

void read_text(const JsonNode& node, const Place& place, const std::vector<std::string>& names, void* value,
               std::vector<Fault>& faults) {
  if (node.kind != JsonKind::string) return add_type_fault(node, place, JsonKind::string, faults);
  if (!names.empty() && !is_known_name(node, place, node.text, names, "value", faults)) return;
  *static_cast<std::string*>(value) = node.text;
}

void read_enum(const EnumType& type, const JsonNode& node, const Place& place, void* value,
               std::vector<Fault>& faults) {
  if (node.kind != JsonKind::string) return add_type_fault(node, place, JsonKind::string, faults);
  const std::vector<std::string> names = names_of_enum(type);
  if (!is_known_name(node, place, node.text, names, "value", faults)) return;
  type.set(value, size_t(std::find(names.begin(), names.end(), node.text) - names.begin()));
}

void read_value(const ValueType& type, const JsonNode& node, const Place& place, const Limit& limit, void* value,
                std::vector<Fault>& faults);

void read_container(const ValueType& type, const JsonNode& node, const Place& place, const Limit& limit, void* value,
                    std::vector<Fault>& faults) {
  const ContainerType& container = *type.container;
  container.clear(value);
  if (type.shape == Shape::optional) {
    if (node.kind == JsonKind::null) return;
    return container.add(value, {},
                         [&](void* held) { read_value(container.element, node, place, limit, held, faults); });
  }
  const bool is_list = type.shape == Shape::list;
  const JsonKind wanted = is_list ? JsonKind::array : JsonKind::object;
  if (node.kind != wanted) return add_type_fault(node, place, wanted, faults);
  for (size_t i = 0; i < node.children.size(); ++i) {
    const JsonNode& child = node.children[i];
    const Place child_place = is_list ? Place{&place, {}, int64_t(i)} : Place{&place, child.key};
    container.add(value, child.key,
                  [&](void* element) { read_value(container.element, child, child_place, limit, element, faults); });
  }
}

void read_value(const ValueType& type, const JsonNode& node, const Place& place, const Limit& limit, void* value,
                std::vector<Fault>& faults) {
  switch (type.shape) {
    case Shape::boolean:
      return read_bool(node, place, value, faults);
    case Shape::int32:
      return read_number<int32_t>(node, place, limit.range, value, faults);
    case Shape::int64:
      return read_number<int64_t>(node, place, limit.range, value, faults);
    case Shape::uint64:
      return read_number<uint64_t>(node, place, limit.range, value, faults);
    case Shape::real:
      return read_number<double>(node, place, limit.range, value, faults);
    case Shape::text:
      return read_text(node, place, limit.names, value, faults);
    case Shape::duration:
      return read_quantity<Duration>(node, place, limit.range, value, faults);
    case Shape::bytes:
      return read_quantity<Bytes>(node, place, limit.range, value, faults);
    case Shape::rate:
      return read_quantity<Rate>(node, place, limit.range, value, faults);
    case Shape::flop_rate:
      return read_quantity<FlopRate>(node, place, limit.range, value, faults);
    case Shape::percentage:
      return read_quantity<Percentage>(node, place, limit.range, value, faults);
    case Shape::enumeration:
      return read_enum(*type.enumeration, node, place, value, faults);
    case Shape::policy:
      return read_policy(*type.policy, node, place, type.policy->chosen(value), faults);
    case Shape::object:
      return read_object(*type.object, node, place, value, faults);
    case Shape::optional:
    case Shape::list:
    case Shape::map:
      return read_container(type, node, place, limit, value, faults);
  }
}

}  // namespace

void add_fault(std::vector<Fault>& faults, const JsonNode& node, const Place& place, std::string message) {
  if (faults.size() < kFaultsMax) faults.push_back({node.line, place.pointer(), std::move(message)});
}

void require_format_version(const JsonNode& root, int64_t version, const std::string& source) {
  const std::string reads = fmt::format("this moesim reads format_version {}", version);
  if (root.kind != JsonKind::object)
    throw ConfigError(source, fmt::format("must be an object, but is {}", kind_name(root.kind)));
  const JsonNode* const node = root.find("format_version");
  if (node == nullptr)
    throw ConfigError(source, {{root.line, "", fmt::format("missing key \"format_version\"; {}", reads)}});
  if (node->kind != JsonKind::number || node->text != std::to_string(version)) {
    const std::string found = node->kind == JsonKind::number ? node->text : kind_name(node->kind);
    throw ConfigError(source, {{node->line, "/format_version", fmt::format("is {}, but {}", found, reads)}});
  }
}

void add_type_fault(const JsonNode& node, const Place& place, JsonKind wanted, std::vector<Fault>& faults) {
  add_fault(faults, node, place, fmt::format("type must be {}, but is {}", kind_name(wanted), kind_name(node.kind)));
}

bool is_known_name(const JsonNode& node, const Place& place, const std::string& name,
                   const std::vector<std::string>& names, const char* what, std::vector<Fault>& faults) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  add_fault(faults, node, place, fmt::format("unknown {} {}{}", what, in_quotes(name), suggestion(name, names)));
  return false;
}

void report_unknown_keys(const JsonNode& node, const Place& place, const std::vector<std::string>& known,
                         std::vector<Fault>& faults) {
  const bool is_root = place.parent == nullptr;
  for (const JsonNode& child : node.children) {
    if (faults.size() >= kFaultsMax) return;
    if (std::find(known.begin(), known.end(), child.key) != known.end()) continue;
    if (is_root && child.key == "$schema" && child.kind == JsonKind::string) continue;  // for the user's editor
    add_fault(faults, child, Place{&place, child.key}, "unknown key" + suggestion(child.key, known));
  }
}

void FaultAdder::operator()(const std::string& key, std::string message) const {
  const JsonNode* const member = node.find(key);
  add_fault(faults, member == nullptr ? node : *member, key.empty() ? place : Place{&place, key}, std::move(message));
}

void read_object(const ObjectType& type, const JsonNode& node, const Place& place, void* object,
                 std::vector<Fault>& faults, const std::vector<std::string>& other_keys) {
  if (node.kind != JsonKind::object) return add_type_fault(node, place, JsonKind::object, faults);
  const size_t faults_before = faults.size();
  std::vector<std::string> known;
  for (const Setting& setting : list_settings(type, object)) {
    known.emplace_back(setting.key);
    const JsonNode* const member = node.find(setting.key);
    if (member != nullptr)
      read_value(*setting.type, *member, Place{&place, setting.key}, setting.limit, setting.value, faults);
    else if (setting.is_required)
      add_fault(faults, node, place, "missing key " + in_quotes(setting.key));
  }
  known.insert(known.end(), other_keys.begin(), other_keys.end());
  report_unknown_keys(node, place, known, faults);

  // What checks the struct as a whole may rely on each field being right.
  if (type.check == nullptr || faults.size() != faults_before || faults.size() >= kFaultsMax) return;
  type.check(object, FaultAdder{node, place, faults});
}

}  // namespace moesim
