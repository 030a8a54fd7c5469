#include "traces/routing_trace_file.h"

#include <string_view>

#include "traces/hdf5_file.h"
#include "traces/npz.h"
#include "traces/whole_file.h"

namespace moesim {

RoutingTrace read_routing_trace(const std::string& path) {
  const std::vector<std::byte> begin = first_bytes(path, 8);
  const std::string_view magic(reinterpret_cast<const char*>(begin.data()), begin.size());
  if (magic == "\x89HDF\r\n\x1a\n") return read_hdf5_trace(path);
  if (magic.starts_with("PK")) return read_npz_trace(path);
  if (magic.starts_with("\x93NUMPY"))
    throw ConfigError(path,
                      "is a bare .npy array; save it as `ids` in an .npz (numpy.savez_compressed(path, ids=ids))");
  throw ConfigError(path, "is no routing trace: neither HDF5 nor .npz by its first bytes");
}

}  // namespace moesim
