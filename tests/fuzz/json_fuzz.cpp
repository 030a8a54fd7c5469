// Arbitrary bytes as a settings file, and as the value of a --set flag: only ConfigError may escape, and what is
// accepted must write and read back to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/config/json_text.h"
#include "sim/config/reader.h"
#include "sim/core/check.h"
#include "tests/sim/config/every_kind.h"

namespace {

using namespace moesim;

void read_bytes(std::string_view text) {
  using every_kind::EveryKind;
  const auto read = read_struct<EveryKind>(parse_json(text, "fuzz.json"), "fuzz.json");
  CHECK(read_struct<EveryKind>(parse_json(json_text(read), "again"), "again") == read);
}

void read_flag(std::string_view assignment) {
  JsonNode root = parse_json(R"({"name": "a", "hbm": "1 GB/s", "inners": [{}], "sizes": {"a": "1 B"}})", "flag");
  set_pointer(root, assignment);
  read_struct<every_kind::EveryKind>(root, "flag");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto read : {read_bytes, read_flag}) {
    try {
      read(text);
    } catch (const ConfigError&) {
    }
  }
  return 0;
}
