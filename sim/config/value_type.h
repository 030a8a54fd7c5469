// What is known of a setting at run time: its type, as a small constant table, and what its fields() declares of it.
// Reader, writer, schema and documentation are ordinary functions over these, compiled once; setting.h makes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace moesim {

struct Fault;
struct JsonNode;
struct Place;
struct PolicyEntry;
struct ChosenPolicy;
struct ValueType;
class SettingList;

enum class Shape : uint8_t {
  boolean,
  int32,
  int64,
  uint64,
  real,
  text,
  duration,
  bytes,
  rate,
  flop_rate,
  percentage,
  enumeration,
  policy,
  object,
  optional,
  list,
  map,
};

// A function object of the caller's, for the time of one call.
template <class... Arguments>
class Callback {
 public:
  template <class Function>
  Callback(const Function& function)
      : object_(&function), call_([](const void* object, Arguments... arguments) {
          (*static_cast<const Function*>(object))(arguments...);
        }) {}
  void operator()(Arguments... arguments) const { call_(object_, arguments...); }

 private:
  const void* object_;
  void (*call_)(const void* object, Arguments... arguments);
};

// What check_fields() is given to add faults with. The key is "" for the struct as a whole.
struct FaultAdder {
  const JsonNode& node;
  const Place& place;
  std::vector<Fault>& faults;

  void operator()(const std::string& key, std::string message) const;
};

struct EnumType {
  size_t (*size)();
  const char* (*name)(size_t index);
  size_t (*index)(const void* value);  // size() of a value that enum_names() leaves out
  void (*set)(void* value, size_t index);
};

// An optional (with one element or none), a list, or a map; only the elements of a map have keys.
struct ContainerType {
  const ValueType& element;
  void (*clear)(void* container);
  void (*add)(void* container, const std::string& key, Callback<void*> fill);
  void (*each)(const void* container, Callback<const std::string&, const void*> visit);
};

struct ObjectType {
  void (*describe)(SettingList& list, void* object);
  void* (*create)();  // with every default
  void* (*copy)(const void* object);
  void (*destroy)(void* object);
  void (*check)(const void* object, const FaultAdder& fault);  // check_fields(), or nullptr
};

struct PolicyType {
  const char* kind;
  const char* unnamed;                           // the policy that an object without a name means, or nullptr
  std::vector<const PolicyEntry*> (*entries)();  // by name
  ChosenPolicy& (*chosen)(void* choice);
};

// Beside the shape, the one table that belongs to it; values are passed as pointers to the member's own type.
struct ValueType {
  Shape shape;
  const EnumType* enumeration = nullptr;
  const ContainerType* container = nullptr;
  const ObjectType* object = nullptr;
  const PolicyType* policy = nullptr;
};

// A Range<T> (fields.h) whose ends are kept as the bits of a T; the shape of the setting's leaf says which T.
struct RangeBits {
  uint64_t low = 0;
  uint64_t high = 0;
  bool has_low = false;
  bool has_high = false;
  bool low_is_open = false;
};

// What is allowed of a setting beyond its type; holds for each element of a container.
struct Limit {
  RangeBits range;                 // of numbers and quantities
  std::vector<std::string> names;  // of strings; none: any string
};

struct Setting {
  const char* key;
  void* value;
  const ValueType* type;
  bool is_required;
  Limit limit;
  const char* doc;
};

// What containers hold in the end: that of Rate for std::optional<std::vector<Rate>>.
const ValueType& leaf_of(const ValueType& type);

bool is_quantity(Shape shape);

// The settings of an object, in the order of its fields(); their values are the object's members.
std::vector<Setting> list_settings(const ObjectType& type, void* object);

std::vector<std::string> names_of_enum(const EnumType& type);

// "at least 1", "above 0 B/s", "between 1 and 64", or "" where anything goes or the leaf has no order.
std::string range_text(Shape leaf, const RangeBits& range);

}  // namespace moesim
