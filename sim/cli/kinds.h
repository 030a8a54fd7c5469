// The kinds of things that `moesim list` knows.
#pragma once

#include <string>
#include <vector>

namespace moesim {

struct NamedThing {
  std::string name;
  std::string doc;
};

template <class Visitor>
void fields(Visitor& v, NamedThing& s) {
  v.required("name", s.name, "as settings name it");
  v.required("description", s.doc, "what it is");
}

std::vector<std::string> list_kind_names();

// An unknown kind is a ConfigError that says what may have been meant.
std::vector<NamedThing> things_of_kind(const std::string& kind);

}  // namespace moesim
