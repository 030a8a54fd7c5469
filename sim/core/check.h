// CHECK: an invariant of ours that must hold in every build type. A failure is a bug in moesim, never a fault of the
// user.
#pragma once

#include <stdexcept>

namespace moesim {

// Thrown by a failed CHECK. Only main, the worker of a sweep and the Python boundary catch it.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace moesim

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) [[unlikely]]                            \
      ::moesim::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
