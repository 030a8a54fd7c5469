// Settings and their schema as JSON text. This header, unlike writer.h and schema.h, costs no compile time for JSON.
#pragma once

#include <string>

#include "sim/config/setting.h"

namespace moesim {

std::string json_text(const ValueType& type, const void* value);
std::string compact_json_text(const ValueType& type, const void* value);  // on one line, as in a table of defaults
std::string schema_text(const ObjectType& type, const std::string& title);

// A struct, or a container of them, with every default filled in. Ends a line.
template <class T>
std::string json_text(const T& value) {
  return json_text(value_type<T>(), &value);
}

template <class T>
std::string compact_json_text(const T& value) {
  return compact_json_text(value_type<T>(), &value);
}

// The text of json_schema<T>(). Ends a line.
template <HasFields T>
std::string schema_text(const std::string& title) {
  return schema_text(ObjectTypeOf<T>::table, title);
}

}  // namespace moesim
