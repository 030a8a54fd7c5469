// Writes structs of settings as JSON with every default filled in. read_struct() gives the same struct back.
// Who wants only the text finds it in json_text.h, which compiles faster.
#pragma once

#include <nlohmann/json.hpp>

#include "sim/config/json_text.h"
#include "sim/config/setting.h"

namespace moesim {

using OrderedJson = nlohmann::ordered_json;  // keys in the order of fields()

OrderedJson written_value(const ValueType& type, const void* value);

template <class T>
OrderedJson json_value(const T& value) {
  return written_value(value_type<T>(), &value);
}

template <HasFields T>
OrderedJson to_json(const T& object) {
  return written_value(value_type<T>(), &object);
}

// Two spaces of indent and a line's end, as all our files have.
std::string json_text(const OrderedJson& json);

}  // namespace moesim
