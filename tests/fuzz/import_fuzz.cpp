// Any bytes are a sound trace or a ConfigError, as whichever format they are imported.
#include <cstddef>
#include <cstdint>
#include <span>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "traces/npz.h"
#include "traces/trace_import.h"

namespace moesim {
namespace {

RoutingTrace npz_rows(std::span<const std::byte> bytes, const std::string& source) {
  return parse_npz_arrays(bytes, source, NpzSidecar{});
}

}  // namespace
}  // namespace moesim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const auto parse :
       {moesim::npz_rows, moesim::parse_vllm_rows, moesim::parse_sglang_rows, moesim::parse_jsonl_rows})
    try {
      const moesim::ImportedTrace imported = moesim::finish_import(parse(bytes, "fuzz"), "fuzz", 0);
      CHECK(moesim::check_trace(imported.trace).empty());
    } catch (const moesim::ConfigError&) {
    }
  return 0;
}
