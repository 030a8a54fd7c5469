#include "sim/config/schema.h"

#include "sim/config/registry.h"
#include "sim/config/units_text.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

OrderedJson value_schema(const ValueType& type, const Limit& limit);

template <class T>
OrderedJson number_schema(const RangeBits& bits) {
  const Range<T> range = range_of_bits<T>(bits);
  OrderedJson schema = {{"type", std::same_as<T, double> ? "number" : "integer"}};
  if (range.low) schema[range.low_is_open ? "exclusiveMinimum" : "minimum"] = *range.low;
  if (range.high) schema["maximum"] = *range.high;
  return schema;
}

// {"type": "string", "pattern": .., "examples": [..]}
OrderedJson quantity_schema(const QuantityKind& kind) {
  // The examples are written as a sentence has them: "400 Gb/s" or "50 GB/s", each in its quotes.
  OrderedJson examples = OrderedJson::array();
  const std::string text = kind.examples;
  for (size_t open = text.find('"'); open != std::string::npos;) {
    const size_t close = text.find('"', open + 1);
    examples.push_back(text.substr(open + 1, close - open - 1));
    open = text.find('"', close + 1);
  }
  return {{"type", "string"}, {"pattern", kind.pattern}, {"examples", std::move(examples)}};
}

OrderedJson text_schema(const std::vector<std::string>& names) {
  if (names.empty()) return {{"type", "string"}};
  return {{"enum", names}};
}

OrderedJson setting_schema(const Setting& setting) {
  OrderedJson schema = value_schema(*setting.type, setting.limit);
  std::string doc = setting.doc;
  const Shape leaf = leaf_of(*setting.type).shape;
  if (is_quantity(leaf)) {  // a schema can state no range of a quantity
    const std::string range = range_text(leaf, setting.limit.range);
    if (!range.empty()) doc += " (" + range + ")";
  }
  schema["description"] = doc;
  if (!setting.is_required) schema["default"] = written_value(*setting.type, setting.value);
  return schema;
}

// An object with these settings and no others.
OrderedJson object_schema(const ObjectType& type) {
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  AnyStruct defaults(type);
  for (const Setting& setting : list_settings(type, defaults.object())) {
    CHECK(!properties.contains(setting.key));  // fields() names a key twice
    if (setting.is_required) required.push_back(setting.key);
    properties[setting.key] = setting_schema(setting);
  }
  OrderedJson schema = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

OrderedJson policy_schema(const PolicyType& type) {
  OrderedJson names = OrderedJson::array();
  OrderedJson choices = OrderedJson::array();
  for (const PolicyEntry* const entry : type.entries()) {
    names.push_back(entry->name);
    OrderedJson choice = object_schema(*entry->options);
    OrderedJson properties = {{"policy", {{"const", entry->name}, {"description", entry->doc}}}};
    properties.update(choice["properties"]);
    choice["properties"] = std::move(properties);
    if (type.unnamed == nullptr || entry->name != type.unnamed) choice["required"].push_back("policy");
    choices.push_back(std::move(choice));
  }
  choices.insert(choices.begin(), OrderedJson{{"enum", std::move(names)}});
  return {{"oneOf", std::move(choices)}};
}

OrderedJson value_schema(const ValueType& type, const Limit& limit) {
  switch (type.shape) {
    case Shape::boolean:
      return {{"type", "boolean"}};
    case Shape::int32:
      return number_schema<int32_t>(limit.range);
    case Shape::int64:
      return number_schema<int64_t>(limit.range);
    case Shape::uint64:
      return number_schema<uint64_t>(limit.range);
    case Shape::real:
      return number_schema<double>(limit.range);
    case Shape::text:
      return text_schema(limit.names);
    case Shape::duration:
      return quantity_schema(quantity_kind(Duration{}));
    case Shape::bytes:
      return quantity_schema(quantity_kind(Bytes{}));
    case Shape::rate:
      return quantity_schema(quantity_kind(Rate{}));
    case Shape::flop_rate:
      return quantity_schema(quantity_kind(FlopRate{}));
    case Shape::percentage:
      return quantity_schema(quantity_kind(Percentage{}));
    case Shape::enumeration:
      return {{"enum", names_of_enum(*type.enumeration)}};
    case Shape::policy:
      return policy_schema(*type.policy);
    case Shape::object:
      return object_schema(*type.object);
    case Shape::optional:
      return {{"anyOf", OrderedJson::array({value_schema(type.container->element, limit), {{"type", "null"}}})}};
    case Shape::list:
      return {{"type", "array"}, {"items", value_schema(type.container->element, limit)}};
    case Shape::map:
      return {{"type", "object"}, {"additionalProperties", value_schema(type.container->element, limit)}};
  }
  return nullptr;
}

}  // namespace

OrderedJson json_schema(const ObjectType& type, const std::string& title) {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  schema.update(object_schema(type));
  schema["properties"]["$schema"] = {{"type", "string"}, {"description", "for editors; moesim ignores it"}};
  return schema;
}

std::string schema_text(const ObjectType& type, const std::string& title) {
  return json_text(json_schema(type, title));
}

}  // namespace moesim
