#include "sim/config/registry.h"

#include <algorithm>

#include "sim/config/reader.h"

namespace moesim {

const PolicyEntry& chosen_entry(const PolicyType& type, const ChosenPolicy& chosen) {
  const std::vector<const PolicyEntry*> entries = type.entries();
  const auto entry =
      std::find_if(entries.begin(), entries.end(), [&](const auto* each) { return each->name == chosen.name; });
  CHECK(entry != entries.end());
  return **entry;
}

void read_policy(const PolicyType& type, const JsonNode& node, const Place& place, ChosenPolicy& chosen,
                 std::vector<Fault>& faults) {
  if (node.kind != JsonKind::string && node.kind != JsonKind::object)
    return add_type_fault(node, place, JsonKind::string, faults);
  const JsonNode* policy = node.kind == JsonKind::string ? &node : node.find("policy");
  JsonNode unnamed;
  unnamed.kind = JsonKind::string;
  unnamed.line = node.line;
  if (policy == nullptr && type.unnamed != nullptr) {
    unnamed.text = type.unnamed;
    policy = &unnamed;
  }
  if (policy == nullptr) return add_fault(faults, node, place, "missing key \"policy\"");
  const Place policy_place = node.kind == JsonKind::string ? place : Place{&place, "policy"};
  if (policy->kind != JsonKind::string) return add_type_fault(*policy, policy_place, JsonKind::string, faults);
  std::vector<std::string> names;
  for (const PolicyEntry* const entry : type.entries()) names.push_back(entry->name);
  if (!is_known_name(*policy, policy_place, policy->text, names, type.kind, faults)) return;
  chosen.name = policy->text;
  chosen.options = chosen_entry(type, chosen).default_options();
  JsonNode no_options;
  no_options.kind = JsonKind::object;
  no_options.line = node.line;
  read_object(*chosen.options.type(), node.kind == JsonKind::string ? no_options : node, place, chosen.options.object(),
              faults, {"policy"});
}

}  // namespace moesim
