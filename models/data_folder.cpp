#include <cstdlib>
#include <system_error>
#include <vector>

#include "models/catalogue.h"
#include "sim/config/error.h"

namespace moesim {
namespace {

bool holds_catalogue(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::is_directory(folder / "models" / "llms", ignored);
}

}  // namespace

std::filesystem::path data_folder() {
  if (const char* given = std::getenv("MOESIM_DATA_DIR"); given && *given) {
    if (holds_catalogue(given)) return given;
    throw ConfigError("MOESIM_DATA_DIR", in_quotes(given) + " holds no models/llms");
  }
  std::error_code no_proc;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", no_proc);
  const std::filesystem::path installed = executable.parent_path().parent_path() / "share" / "moesim";
  if (!no_proc && holds_catalogue(installed)) return installed;
  if (holds_catalogue(MOESIM_SOURCE_DIR)) return MOESIM_SOURCE_DIR;
  throw ConfigError("catalogue", "no models found in " + installed.string() +
                                     " nor " MOESIM_SOURCE_DIR
                                     "; set MOESIM_DATA_DIR to the folder that holds models/llms");
}

}  // namespace moesim
