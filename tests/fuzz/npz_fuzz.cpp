// Any bytes are a sound trace or a ConfigError. The checksums of a zip keep most mutations from its arrays, so the
// headers of those are fuzzed by themselves too.
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "traces/npy.h"
#include "traces/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    moesim::parse_npy_header(bytes);
  } catch (const std::invalid_argument&) {
  }
  try {
    const moesim::RoutingTrace trace = moesim::parse_npz_trace(bytes, "fuzz.npz", moesim::NpzSidecar{});
    CHECK(moesim::check_trace(trace).empty());
  } catch (const moesim::ConfigError&) {
  }
  return 0;
}
