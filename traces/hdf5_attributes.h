// Writing with the HDF5 library: what it refuses is thrown, and the attributes of a trace.
#pragma once

#include "traces/hdf5_handle.h"
#include "traces/routing_trace.h"

namespace moesim {

// Thrown where HDF5 refuses; the writer says which file it was.
struct CannotWrite {};

inline Hdf5Handle made(hid_t id, herr_t (*close)(hid_t)) {
  if (id < 0) throw CannotWrite{};
  return {id, close};
}

inline void must(herr_t status) {
  if (status < 0) throw CannotWrite{};
}

// All that a file says of a trace besides its arrays.
void write_attributes(hid_t file, const RoutingTrace& about);

}  // namespace moesim
