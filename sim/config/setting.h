// Turns the fields() of a struct into a list of settings, and the type of each member into its table (value_type.h).
// This is all of sim/config that is compiled anew for each struct, so it is kept small.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/config/fields.h"
#include "sim/config/value_type.h"
#include "sim/core/units.h"

namespace moesim {

template <class T>
concept Number =
    std::same_as<T, int32_t> || std::same_as<T, int64_t> || std::same_as<T, uint64_t> || std::same_as<T, double>;

template <class T>
concept Quantity = std::same_as<T, Duration> || std::same_as<T, Bytes> || std::same_as<T, Rate> ||
                   std::same_as<T, FlopRate> || std::same_as<T, Percentage>;

template <class T>
concept Enum = std::is_enum_v<T> && requires { enum_names(T{}); };

template <class T>
concept HasFields = std::is_class_v<T> && requires(SettingList& list, T& object) { fields(list, object); };

// A type that has a PolicyType, as PolicyChoice does.
template <class T>
concept ChoosesPolicy = requires { T::policy_type(); };

// What containers hold in the end: Rate for std::optional<std::vector<Rate>>.
template <class T>
struct LeafOf {
  using type = T;
};
template <class T>
struct LeafOf<std::optional<T>> : LeafOf<T> {};
template <class T>
struct LeafOf<std::vector<T>> : LeafOf<T> {};
template <class T>
struct LeafOf<std::map<std::string, T>> : LeafOf<T> {};
template <class T>
using Leaf = typename LeafOf<T>::type;

template <class T>
uint64_t bits_of_end(T end) {
  if constexpr (sizeof(T) == sizeof(uint32_t))
    return std::bit_cast<uint32_t>(end);
  else
    return std::bit_cast<uint64_t>(end);
}

template <class T>
T end_of_bits(uint64_t bits) {
  if constexpr (sizeof(T) == sizeof(uint32_t))
    return std::bit_cast<T>(static_cast<uint32_t>(bits));
  else
    return std::bit_cast<T>(bits);
}

// at_least(0) serves a double and an int64_t as well.
template <class T, class End>
RangeBits range_bits(const Range<End>& range) {
  RangeBits bits;
  bits.has_low = range.low.has_value();
  bits.has_high = range.high.has_value();
  bits.low_is_open = range.low_is_open;
  if (range.low) bits.low = bits_of_end(static_cast<T>(*range.low));
  if (range.high) bits.high = bits_of_end(static_cast<T>(*range.high));
  return bits;
}

template <class T>
Range<T> range_of_bits(const RangeBits& bits) {
  Range<T> range;
  if (bits.has_low) range.low = end_of_bits<T>(bits.low);
  if (bits.has_high) range.high = end_of_bits<T>(bits.high);
  range.low_is_open = bits.low_is_open;
  return range;
}

template <class T>
struct ValueTypeOf;

template <class T>
const ValueType& value_type() {
  return ValueTypeOf<T>::table;
}

// The visitor of every fields(): it notes each setting with all that is declared of it.
class SettingList {
 public:
  template <class T>
  void required(const char* key, T& value, const char* doc) {
    add_unlimited(key, value, true, doc);
  }
  template <class T, class Ends>
  void required(const char* key, T& value, const Ends& limit, const char* doc) {
    add_limited(key, value, true, limit, doc);
  }
  template <class T>
  void optional(const char* key, T& value, const char* doc) {
    add_unlimited(key, value, false, doc);
  }
  template <class T, class Ends>
  void optional(const char* key, T& value, const Ends& limit, const char* doc) {
    add_limited(key, value, false, limit, doc);
  }

  std::vector<Setting> settings;

 private:
  template <class T>
  void add_unlimited(const char* key, T& value, bool is_required, const char* doc) {
    static_assert(!Number<Leaf<T>> && !Quantity<Leaf<T>>, "a number or quantity must give its range");
    add(key, &value, value_type<T>(), is_required, RangeBits{}, doc);
  }
  template <class T, class End>
  void add_limited(const char* key, T& value, bool is_required, const Range<End>& range, const char* doc) {
    static_assert(Number<Leaf<T>> || Quantity<Leaf<T>>, "a range is for numbers and quantities");
    add(key, &value, value_type<T>(), is_required, range_bits<Leaf<T>>(range), doc);
  }
  template <class T>
  void add_limited(const char* key, T& value, bool is_required, const OneOf& one_of, const char* doc) {
    static_assert(std::same_as<Leaf<T>, std::string>, "one_of() is for strings");
    add(key, &value, value_type<T>(), is_required, one_of, doc);
  }

  void add(const char* key, void* value, const ValueType& type, bool is_required, const RangeBits& range,
           const char* doc);
  void add(const char* key, void* value, const ValueType& type, bool is_required, const OneOf& one_of, const char* doc);
};

template <Enum T>
struct EnumTypeOf {
  static size_t size() { return enum_names(T{}).size(); }
  static const char* name(size_t index) { return enum_names(T{})[index].second; }
  static size_t index(const void* value) {
    size_t index = 0;
    while (index < size() && enum_names(T{})[index].first != *static_cast<const T*>(value)) ++index;
    return index;
  }
  static void set(void* value, size_t index) { *static_cast<T*>(value) = enum_names(T{})[index].first; }

  static constexpr EnumType table = {size, name, index, set};
};

template <HasFields T>
struct ObjectTypeOf {
  static void describe(SettingList& list, void* object) { fields(list, *static_cast<T*>(object)); }
  static void* create() { return new T{}; }
  static void* copy(const void* object) { return new T(*static_cast<const T*>(object)); }
  static void destroy(void* object) { delete static_cast<T*>(object); }
  static void check(const void* object, const FaultAdder& fault) {
    if constexpr (kIsChecked) check_fields(*static_cast<const T*>(object), fault);
  }
  static constexpr bool kIsChecked =
      requires(const T& object, const FaultAdder& fault) { check_fields(object, fault); };

  static constexpr ObjectType table = {describe, create, copy, destroy, kIsChecked ? check : nullptr};
};

template <class T>
struct OptionalTypeOf {
  using Container = std::optional<T>;
  static void clear(void* container) { static_cast<Container*>(container)->reset(); }
  static void add(void* container, const std::string&, Callback<void*> fill) {
    fill(&static_cast<Container*>(container)->emplace());
  }
  static void each(const void* container, Callback<const std::string&, const void*> visit) {
    const auto& value = *static_cast<const Container*>(container);
    if (value) visit({}, &*value);
  }
  static constexpr ContainerType table = {ValueTypeOf<T>::table, clear, add, each};
};

template <class T>
struct ListTypeOf {
  using Container = std::vector<T>;
  static void clear(void* container) { static_cast<Container*>(container)->clear(); }
  static void add(void* container, const std::string&, Callback<void*> fill) {
    T element{};  // not in place: a vector of bool has no places
    fill(&element);
    static_cast<Container*>(container)->push_back(std::move(element));
  }
  static void each(const void* container, Callback<const std::string&, const void*> visit) {
    for (const auto& element : *static_cast<const Container*>(container)) {
      const T& value = element;
      visit({}, &value);
    }
  }
  static constexpr ContainerType table = {ValueTypeOf<T>::table, clear, add, each};
};

template <class T>
struct MapTypeOf {
  using Container = std::map<std::string, T>;
  static void clear(void* container) { static_cast<Container*>(container)->clear(); }
  static void add(void* container, const std::string& key, Callback<void*> fill) {
    fill(&(*static_cast<Container*>(container))[key]);
  }
  static void each(const void* container, Callback<const std::string&, const void*> visit) {
    for (const auto& [key, element] : *static_cast<const Container*>(container)) visit(key, &element);
  }
  static constexpr ContainerType table = {ValueTypeOf<T>::table, clear, add, each};
};

template <class T>
constexpr ValueType leaf_value_type() {
  if constexpr (Enum<T>) {
    return {.shape = Shape::enumeration, .enumeration = &EnumTypeOf<T>::table};
  } else if constexpr (ChoosesPolicy<T>) {
    return {.shape = Shape::policy, .policy = &T::policy_type()};
  } else {
    static_assert(HasFields<T>, "a setting of this type cannot be read; fields.h lists those that can");
    return {.shape = Shape::object, .object = &ObjectTypeOf<T>::table};
  }
}

template <class T>
struct ValueTypeOf {
  static constexpr ValueType table = leaf_value_type<T>();
};
template <class T>
struct ValueTypeOf<std::optional<T>> {
  static constexpr ValueType table = {.shape = Shape::optional, .container = &OptionalTypeOf<T>::table};
};
template <class T>
struct ValueTypeOf<std::vector<T>> {
  static constexpr ValueType table = {.shape = Shape::list, .container = &ListTypeOf<T>::table};
};
template <class T>
struct ValueTypeOf<std::map<std::string, T>> {
  static constexpr ValueType table = {.shape = Shape::map, .container = &MapTypeOf<T>::table};
};

template <Shape shape>
struct ScalarTypeOf {
  static constexpr ValueType table = {.shape = shape};
};
template <>
struct ValueTypeOf<bool> : ScalarTypeOf<Shape::boolean> {};
template <>
struct ValueTypeOf<int32_t> : ScalarTypeOf<Shape::int32> {};
template <>
struct ValueTypeOf<int64_t> : ScalarTypeOf<Shape::int64> {};
template <>
struct ValueTypeOf<uint64_t> : ScalarTypeOf<Shape::uint64> {};
template <>
struct ValueTypeOf<double> : ScalarTypeOf<Shape::real> {};
template <>
struct ValueTypeOf<std::string> : ScalarTypeOf<Shape::text> {};
template <>
struct ValueTypeOf<Duration> : ScalarTypeOf<Shape::duration> {};
template <>
struct ValueTypeOf<Bytes> : ScalarTypeOf<Shape::bytes> {};
template <>
struct ValueTypeOf<Rate> : ScalarTypeOf<Shape::rate> {};
template <>
struct ValueTypeOf<FlopRate> : ScalarTypeOf<Shape::flop_rate> {};
template <>
struct ValueTypeOf<Percentage> : ScalarTypeOf<Shape::percentage> {};

}  // namespace moesim
