// Work that may crash, hang or eat the memory, done in a child process: what it breaks is its own.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "sim/core/units.h"

namespace moesim {

struct ChildLimits {
  int cpu_seconds = 60;
  Bytes memory{int64_t{1} << 30};  // beyond what this process has mapped; not enforced under a sanitizer
};

// A child that answers requests. Its standard streams lead nowhere. Make one where no other thread runs a library that
// the work uses: fork copies that library's state as it is.
class ChildProcess {
 public:
  // Forks; the child runs work(requests, replies), reading the one and writing the other. The reading end of `requests`
  // ends when this object is gone; so does the child, whatever it does.
  ChildProcess(const ChildLimits& limits, const std::function<void(int requests, int replies)>& work);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // A request of the child, which from here on may use all its CPU time once more. False if the child is gone.
  bool ask(std::span<const std::byte> request);
  int replies() const { return replies_; }

  // Waits for the child, which is asked nothing more, and says how it ended in words ("was killed by signal 11"), or
  // "" if its work came back.
  std::string end();

 private:
  ChildLimits limits_;
  int child_ = -1;
  int requests_ = -1;
  int replies_ = -1;
};

// For the child, once it has opened what it needs: no path can be opened from here on. Not under a sanitizer.
void forbid_opening_files();

}  // namespace moesim
