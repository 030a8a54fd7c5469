#include "sim/config/writer.h"

#include <cmath>

#include "sim/config/registry.h"
#include "sim/config/units_text.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

template <class T>
const T& as(const void* value) {
  return *static_cast<const T*>(value);
}

double finite(double value) {
  CHECK(std::isfinite(value));
  return value;
}

const char* written_enum(const EnumType& type, const void* value) {
  const size_t index = type.index(value);
  CHECK(index < type.size());  // enum_names() names every value
  return type.name(index);
}

// fields() takes a mutable object because it also serves the reader; here nothing is changed.
OrderedJson written_object(const ObjectType& type, const void* object) {
  OrderedJson json = OrderedJson::object();
  for (const Setting& setting : list_settings(type, const_cast<void*>(object)))
    json[setting.key] = written_value(*setting.type, setting.value);
  return json;
}

OrderedJson written_policy(const PolicyType& type, const ChosenPolicy& chosen) {
  const PolicyEntry& entry = chosen_entry(type, chosen);
  const AnyStruct options = chosen.options.type() == nullptr ? entry.default_options() : chosen.options;
  CHECK(options.type() == entry.options);
  OrderedJson json = {{"policy", chosen.name}};
  json.update(written_object(*options.type(), options.object()));
  return json;
}

OrderedJson written_container(const ValueType& type, const void* value) {
  const ContainerType& container = *type.container;
  OrderedJson json = type.shape == Shape::list  ? OrderedJson::array()
                     : type.shape == Shape::map ? OrderedJson::object()
                                                : OrderedJson(nullptr);
  container.each(value, [&](const std::string& key, const void* element) {
    OrderedJson written = written_value(container.element, element);
    if (type.shape == Shape::list)
      json.push_back(std::move(written));
    else if (type.shape == Shape::map)
      json[key] = std::move(written);
    else
      json = std::move(written);
  });
  return json;
}

}  // namespace

OrderedJson written_value(const ValueType& type, const void* value) {
  switch (type.shape) {
    case Shape::boolean:
      return as<bool>(value);
    case Shape::int32:
      return as<int32_t>(value);
    case Shape::int64:
      return as<int64_t>(value);
    case Shape::uint64:
      return as<uint64_t>(value);
    case Shape::real:
      return finite(as<double>(value));
    case Shape::text:
      return as<std::string>(value);
    case Shape::duration:
      return quantity_text(as<Duration>(value));
    case Shape::bytes:
      return quantity_text(as<Bytes>(value));
    case Shape::rate:
      return quantity_text(as<Rate>(value));
    case Shape::flop_rate:
      return quantity_text(as<FlopRate>(value));
    case Shape::percentage:
      return quantity_text(as<Percentage>(value));
    case Shape::enumeration:
      return written_enum(*type.enumeration, value);
    case Shape::policy:
      return written_policy(*type.policy, type.policy->chosen(const_cast<void*>(value)));
    case Shape::object:
      return written_object(*type.object, value);
    case Shape::optional:
    case Shape::list:
    case Shape::map:
      return written_container(type, value);
  }
  return nullptr;
}

bool is_same_policy(const PolicyType& type, const ChosenPolicy& a, const ChosenPolicy& b) {
  return written_policy(type, a) == written_policy(type, b);
}

std::string json_text(const OrderedJson& json) { return json.dump(2) + "\n"; }

std::string json_text(const ValueType& type, const void* value) { return json_text(written_value(type, value)); }

std::string compact_json_text(const ValueType& type, const void* value) { return written_value(type, value).dump(); }

}  // namespace moesim
