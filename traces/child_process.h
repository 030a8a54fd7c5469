// Work that may crash, hang or eat the memory, done in a child process: what it breaks is its own.
#pragma once

#include <functional>
#include <string>

#include "sim/core/units.h"

namespace moesim {

struct ChildLimits {
  int cpu_seconds = 60;
  Bytes memory{int64_t{1} << 30};  // beyond what this process has mapped; not enforced under a sanitizer
};

// Forks; the child runs work(fd) and its standard streams lead nowhere; meanwhile the parent runs receive(fd) on the
// other end of a pipe. If receive throws, the child is killed and the exception goes on.
// Returns how the child ended in words ("was killed by signal 11"), or "" if work came back.
// Call it where no other thread runs a library that the work uses: fork copies that library's state as it is.
std::string run_in_child(const ChildLimits& limits, const std::function<void(int fd)>& work,
                         const std::function<void(int fd)>& receive);

// For the child, once it has opened what it needs: no path can be opened from here on. Not under a sanitizer.
void forbid_opening_files();

}  // namespace moesim
