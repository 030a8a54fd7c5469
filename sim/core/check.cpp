#include "sim/core/check.h"

#include <string>

namespace moesim {

void check_failed(const char* condition, const char* file, int line) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": CHECK(" + condition + ") failed");
}

}  // namespace moesim
