// Arbitrary bytes as a scenario: they are refused with a ConfigError, or what is read writes and reads back to the
// same. Names are not resolved, so that no file is opened.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/config/error.h"
#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "sim/run/scenario.h"

namespace {

std::optional<moesim::Scenario> read_bytes(std::string_view text) {
  try {
    return moesim::read_struct<moesim::Scenario>(moesim::parse_json(text, "fuzz"), "fuzz");
  } catch (const moesim::ConfigError&) {
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moesim;
  const auto scenario = read_bytes({reinterpret_cast<const char*>(data), size});
  if (!scenario) return 0;
  const Scenario again = read_struct<Scenario>(parse_json(json_text(to_json(*scenario)), "again"), "again");
  if (to_json(*scenario) != to_json(again)) __builtin_trap();
  return 0;
}
