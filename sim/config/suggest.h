// What the user may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moesim {

// The name that is fewest edits away (insert, delete, change, swap two neighbours; case does not count), or "" if none
// is near: more than a third of the longer name's letters wrong is another name, not a slip.
std::string nearest_name(std::string_view wrong, const std::vector<std::string>& names);

// The end of a message about an unknown name: `; did you mean "hbm"?` or, where nothing is near and the names are few,
// `; known are "a", "b"`, or "".
std::string suggestion(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace moesim
