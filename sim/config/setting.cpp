#include "sim/config/setting.h"

#include <fmt/core.h>

#include "sim/config/units_text.h"

namespace moesim {
namespace {

template <class T>
std::string end_text(uint64_t bits) {
  const T end = end_of_bits<T>(bits);
  if constexpr (Quantity<T>)
    return quantity_text(end);
  else
    return fmt::format("{}", end);
}

std::string end_text(Shape leaf, uint64_t bits) {
  switch (leaf) {
    case Shape::int32:
      return end_text<int32_t>(bits);
    case Shape::int64:
      return end_text<int64_t>(bits);
    case Shape::uint64:
      return end_text<uint64_t>(bits);
    case Shape::real:
      return end_text<double>(bits);
    case Shape::duration:
      return end_text<Duration>(bits);
    case Shape::bytes:
      return end_text<Bytes>(bits);
    case Shape::rate:
      return end_text<Rate>(bits);
    case Shape::flop_rate:
      return end_text<FlopRate>(bits);
    case Shape::percentage:
      return end_text<Percentage>(bits);
    default:
      return "";
  }
}

}  // namespace

void SettingList::add(const char* key, void* value, const ValueType& type, bool is_required, const RangeBits& range,
                      const char* doc) {
  settings.push_back({key, value, &type, is_required, {range, {}}, doc});
}

void SettingList::add(const char* key, void* value, const ValueType& type, bool is_required, const OneOf& one_of,
                      const char* doc) {
  settings.push_back({key, value, &type, is_required, {{}, one_of.names}, doc});
}

const ValueType& leaf_of(const ValueType& type) {
  return type.container == nullptr ? type : leaf_of(type.container->element);
}

bool is_quantity(Shape shape) {
  return shape == Shape::duration || shape == Shape::bytes || shape == Shape::rate || shape == Shape::flop_rate ||
         shape == Shape::percentage;
}

std::vector<Setting> list_settings(const ObjectType& type, void* object) {
  SettingList list;
  type.describe(list, object);
  return std::move(list.settings);
}

std::vector<std::string> names_of_enum(const EnumType& type) {
  std::vector<std::string> names;
  for (size_t i = 0; i < type.size(); ++i) names.emplace_back(type.name(i));
  return names;
}

std::string range_text(Shape leaf, const RangeBits& range) {
  const std::string low = range.has_low ? end_text(leaf, range.low) : "";
  const std::string high = range.has_high ? end_text(leaf, range.high) : "";
  if (range.has_low && range.has_high && !range.low_is_open) return "between " + low + " and " + high;
  std::string text = range.has_low ? (range.low_is_open ? "above " : "at least ") + low : "";
  if (range.has_high) text += (text.empty() ? "at most " : " and at most ") + high;
  return text;
}

}  // namespace moesim
