// The JSON Schema (draft 2020-12) of a struct of settings, so that editors complete and check what users write.
#pragma once

#include <string>

#include "sim/config/setting.h"
#include "sim/config/writer.h"

namespace moesim {

OrderedJson json_schema(const ObjectType& type, const std::string& title);

template <HasFields T>
OrderedJson json_schema(const std::string& title) {
  return json_schema(ObjectTypeOf<T>::table, title);
}

}  // namespace moesim
