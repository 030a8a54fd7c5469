// Fills structs of settings from JSON, and collects every fault on the way.
//
//   GpuSpec gpu = read_struct<GpuSpec>(read_json_file(path), path);     // throws one ConfigError with all faults
//
// or, where later checks have faults to add:
//
//   std::vector<Fault> faults;
//   read_fields(root, Place{}, scenario, faults);
//   if (...) faults.push_back(fault_at(root, "/model", "unknown model ..."));
//   throw_if_any(path, std::move(faults));
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/config/json.h"
#include "sim/config/setting.h"

namespace moesim {

// Beyond this many no more are collected: enough is known by then, and a hostile file could have millions.
inline constexpr size_t kFaultsMax = 1000;

// Adds a fault at the node's line and the place's pointer.
void add_fault(std::vector<Fault>& faults, const JsonNode& node, const Place& place, std::string message);

// Refuses, alone and clearly, a file whose format_version is missing or other than this one: its other faults would
// only mislead. The struct still declares format_version in its fields().
void require_format_version(const JsonNode& root, int64_t version, const std::string& source);

// "type must be string, but is number".
void add_type_fault(const JsonNode& node, const Place& place, JsonKind wanted, std::vector<Fault>& faults);

// The name, if it is one of those; else a fault with what may have been meant. what: "value", "placement policy".
bool is_known_name(const JsonNode& node, const Place& place, const std::string& name,
                   const std::vector<std::string>& names, const char* what, std::vector<Fault>& faults);

void report_unknown_keys(const JsonNode& node, const Place& place, const std::vector<std::string>& known,
                         std::vector<Fault>& faults);

// Reads the members of an object into a struct. The other keys are allowed and left alone.
void read_object(const ObjectType& type, const JsonNode& node, const Place& place, void* object,
                 std::vector<Fault>& faults, const std::vector<std::string>& other_keys = {});

template <HasFields T>
void read_fields(const JsonNode& node, const Place& place, T& value, std::vector<Fault>& faults,
                 const std::vector<std::string>& other_keys = {}) {
  read_object(ObjectTypeOf<T>::table, node, place, &value, faults, other_keys);
}

template <HasFields T>
T read_struct(const JsonNode& node, const std::string& source) {
  T value{};
  std::vector<Fault> faults;
  read_fields(node, Place{}, value, faults);
  throw_if_any(source, std::move(faults));
  return value;
}

}  // namespace moesim
