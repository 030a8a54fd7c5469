// The name of an enum's value, as settings and results write it.
#pragma once

namespace moesim {

template <class Enum>
constexpr const char* name_of(Enum value) {
  for (const auto& [each, name] : enum_names(Enum{}))
    if (each == value) return name;
  return "?";
}

}  // namespace moesim
