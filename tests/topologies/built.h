// Topologies for tests, built as a scenario builds them: by name, with options in JSON.
#pragma once

#include <string>

#include "sim/config/json.h"
#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {

inline Topology built(const std::string& name, const TopologyInput& in, const std::string& options = "{}") {
  JsonNode json = parse_json(options, "test");
  JsonNode policy;
  policy.kind = JsonKind::string;
  policy.key = "policy";
  policy.text = name;
  json.children.push_back(policy);

  PolicyChoice<TopologyBuilder> choice;
  std::vector<Fault> faults;
  choice.read(json, Place{}, faults);
  throw_if_any("test", std::move(faults));
  Rng rng(1);
  return choice.decide(in, rng);
}

// What a ConfigError says, "path: message" for each fault; "" where nothing was wrong.
inline std::string complaint(const std::string& name, const TopologyInput& in, const std::string& options = "{}") {
  std::string text;
  try {
    built(name, in, options);
  } catch (const ConfigError& error) {
    for (const Fault& fault : error.faults()) text += (text.empty() ? "" : "\n") + fault.path + ": " + fault.message;
  }
  return text;
}

}  // namespace moesim
