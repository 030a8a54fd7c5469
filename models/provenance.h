// Where the numbers of a catalogue entry come from.
#pragma once

#include <array>
#include <utility>

namespace moesim {

enum class Status { read, mixed, recalled };

constexpr auto enum_names(Status) {
  return std::to_array<std::pair<Status, const char*>>({{Status::read, "read"},    // all of it in the source named
                                                        {Status::mixed, "mixed"},  // some read, some inferred
                                                        {Status::recalled, "recalled"}});  // wants a second look
}

}  // namespace moesim
