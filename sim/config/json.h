// JSON as the user wrote it: a tree that knows the line of each value. nlohmann/json checks the grammar; its own tree
// is not used, because it keeps no lines and takes duplicate keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/error.h"

namespace moesim {

enum class JsonKind : uint8_t { null, boolean, number, string, array, object };

const char* kind_name(JsonKind kind);

struct JsonNode {
  JsonKind kind = JsonKind::null;
  int line = 0;                    // of the key for a member of an object; kFlagLine for what a flag has set
  std::string key;                 // its name as a member of an object, else ""
  std::string text;                // the string, the number as written, or "true" or "false"
  std::vector<JsonNode> children;  // of an array or object, in the file's order; keys are unique

  const JsonNode* find(std::string_view name) const;  // the member of that name, or nullptr
};

// Where a reader stands in a tree, as a list from the leaf up: its pointer is only spelt out when there is a fault.
struct Place {
  const Place* parent = nullptr;
  std::string_view key = {};
  int64_t index = -1;  // of an array's element; then the key is unused

  std::string pointer() const;  // "/cluster/gpus/0", with ~ and / escaped; "" for the root
};

// What is not JSON (duplicate keys, NaN, overflow, nesting beyond 100 levels, more than 16 million values, invalid
// UTF-8 and text after the end included) is a ConfigError that names the line. The source is the name to report.
JsonNode parse_json(std::string_view text, const std::string& source);

JsonNode read_json_file(const std::filesystem::path& path, int64_t bytes_max = int64_t{256} << 20);

// The node that a pointer leads to or, where it leads nowhere, the last one on the way: the best line there is.
const JsonNode& nearest_node(const JsonNode& root, std::string_view pointer);

// A fault at a pointer, with its line; for faults that show only after the file has been read.
Fault fault_at(const JsonNode& root, const std::string& pointer, std::string message);

// Carries out `--set /cluster/gpus/0=value`. The value is JSON or else a string; missing objects are made; an index one
// past the end, or "-", appends; /placement/policy may be set where /placement is a bare name. What cannot be set is a
// ConfigError.
void set_pointer(JsonNode& root, std::string_view assignment);

}  // namespace moesim
