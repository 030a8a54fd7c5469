// The reference of a struct of settings, as Markdown tables.
#pragma once

#include <string>

#include "sim/config/setting.h"

namespace moesim {

std::string markdown(const ObjectType& type, const std::string& title);

template <HasFields T>
std::string markdown(const std::string& title) {
  return markdown(ObjectTypeOf<T>::table, title);
}

}  // namespace moesim
