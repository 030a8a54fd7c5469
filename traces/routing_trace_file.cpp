#include "traces/routing_trace_file.h"

#include <string>
#include <vector>

#include "traces/hdf5_file.h"
#include "traces/npz.h"
#include "traces/whole_file.h"

namespace moesim {

namespace {

std::string magic_of(const std::string& path) {
  const std::vector<std::byte> begin = first_bytes(path, 8);
  return {reinterpret_cast<const char*>(begin.data()), begin.size()};
}

}  // namespace

bool is_hdf5(const std::string& path) { return magic_of(path) == "\x89HDF\r\n\x1a\n"; }

RoutingTrace read_routing_trace(const std::string& path) {
  if (is_hdf5(path)) return read_hdf5_trace(path);
  const std::string magic = magic_of(path);
  if (magic.starts_with("PK")) return read_npz_trace(path);
  if (magic.starts_with("\x93NUMPY"))
    throw ConfigError(path,
                      "is a bare .npy array; save it as `ids` in an .npz (numpy.savez_compressed(path, ids=ids))");
  throw ConfigError(path, "is no routing trace: neither HDF5 nor .npz by its first bytes");
}

}  // namespace moesim
