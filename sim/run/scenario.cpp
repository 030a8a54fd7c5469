#include "sim/run/scenario.h"

#include <fmt/core.h>

#include "models/catalogue.h"
#include "sim/config/reader.h"
#include "sim/run/rerouting_source.h"
#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

constexpr int64_t kTokensMax = 1 << 26;  // new tokens of an attention rank in a step: more is a typing error

// Payload over nominal rate: 55 of 64 GB/s, copies of pinned memory to an H100; as in models/links/pcie-gen5-x16.json.
constexpr double kPciePayload = 0.85;

// Loads what a name stands for; its faults are reported at the setting that names it.
template <class Spec>
void resolve(const JsonNode& root, const std::string& pointer, const std::string& name,
             Spec (*load)(const std::string&), Spec& spec, std::vector<Fault>& faults) {
  try {
    spec = load(name);
  } catch (const ConfigError& error) {
    const bool is_one_line = error.faults().size() == 1 && error.faults()[0].path.empty();
    faults.push_back(fault_at(
        root, pointer, is_one_line ? in_quotes(name) + ": " + error.faults()[0].message : std::string(error.what())));
  }
}

std::string trace_fault(const LlmSpec& model, const RoutingTrace& trace, bool rerouted) {
  if (trace.tokens < 2) return "it has too few tokens to learn from and to judge";
  if (trace.experts != model.experts)
    return fmt::format("it has {} experts but {} has {}", trace.experts, model.name, model.experts);
  if (trace.top_k < model.top_k && !rerouted)
    return fmt::format("it has {} choices a token but {} makes {}", trace.top_k, model.name, model.top_k);
  return "";
}

const RoutingTrace* read_trace(const JsonNode& root, const LoadedScenario& loaded, TraceStore& traces,
                               std::vector<Fault>& faults) {
  const std::string file = (loaded.folder / loaded.scenario.routing.trace).string();
  try {
    auto found = traces.find(file);
    if (found == traces.end()) found = traces.emplace(file, read_routing_trace(file)).first;
    const bool rerouted = loaded.scenario.routing.reroute.has_value();
    const std::string fault = loaded.model.layers == 0 ? "" : trace_fault(loaded.model, found->second, rerouted);
    if (fault.empty()) return &found->second;
    faults.push_back(fault_at(root, "/routing/trace", file + ": " + fault));
  } catch (const ConfigError& error) {
    faults.push_back(fault_at(root, "/routing/trace", error.what()));
  }
  return nullptr;
}

// A path is relative to the scenario's folder; a name of a catalogue has no slash and no ".json".
std::string relative_to(const std::filesystem::path& folder, const std::string& name) {
  const bool is_path = name.find('/') != std::string::npos || name.ends_with(".json");
  return is_path ? (folder / name).string() : name;
}

// The profile for the GPU of the scenario, or a fault. A name of a profile has a slash too, so a path ends in ".json".
void resolve_profile(const JsonNode& root, LoadedScenario& loaded, std::vector<Fault>& faults) {
  const Scenario& scenario = loaded.scenario;
  if (scenario.profile.empty()) {
    if (scenario.launch == Launch::eager)
      faults.push_back(fault_at(root, "/launch", "eager needs a `profile`, which says what launches cost the host"));
    return;
  }
  if (root.find("cost") != nullptr)
    faults.push_back(fault_at(root, "/cost", "comes from the profile; leave out this or /profile"));
  const bool is_path = scenario.profile.ends_with(".json");
  DeviceProfile profile;
  const size_t faults_before = faults.size();
  resolve(root, "/profile", is_path ? (loaded.folder / scenario.profile).string() : scenario.profile, load_profile,
          profile, faults);
  if (faults.size() > faults_before || loaded.gpu.sms == 0) return;
  loaded.profile = scaled_profile(profile, relative_to(loaded.folder, scenario.cluster.node.gpu));
  if (scenario.launch == Launch::eager && loaded.profile->host.issue == Duration{})
    faults.push_back(fault_at(root, "/launch", "eager: the profile does not say what launches cost the host"));
}

// What the profile knows of collectives holds where the scenario says nothing else.
void take_from_profile(const JsonNode& root, const DeviceProfile& profile, LoadedScenario& loaded) {
  const JsonNode* communication = root.find("communication");
  const auto is_set = [&](const char* key) { return communication != nullptr && communication->find(key) != nullptr; };
  SoftwareStack& stack = loaded.scenario.communication.stack;
  // Who says what a collective takes says it of small ones too.
  if (!is_set("launch") && !is_set("round") && !is_set("copy_rate"))
    stack.small_messages = profile.collectives.small_messages;
  if (!is_set("launch")) stack.launch = profile.collectives.launch;
  if (!is_set("round")) stack.round = profile.collectives.round;
  if (!is_set("send")) stack.send = profile.collectives.send;
  if (!is_set("receive")) stack.receive = profile.collectives.receive;
  if (!is_set("point_to_point")) stack.point_to_point = profile.collectives.point_to_point;
  if (!is_set("copy_rate")) stack.copy_rate = profile.collectives.copy_rate;
  if (profile.scale_up && !loaded.scenario.cluster.node.nvlink) loaded.scenario.cluster.node.nvlink = profile.scale_up;
}

}  // namespace

void check_fields(const Scenario& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (s.network != Fidelity::flow && s.rate_tolerance > Percentage{0})
    fault("rate_tolerance", "is of the network \"flow\" alone");
  if (s.network == Fidelity::ideal && !s.link_changes.empty())
    fault("link_changes", "do nothing in the network \"ideal\", in which links are not shared; take \"flow\"");
  if (!s.parallelism.slots.empty() && s.parallelism.spare_slots > 0)
    fault("parallelism", "has both `slots` and `spare_slots`; say with `slots` how many there are in all");
  const std::string placement = s.rebalance.placement.value_or(s.placement).name();
  if (s.rebalance.policy.name() != "never" && placement == "file")
    fault("rebalance", "needs a `placement` that depends on loads: what a file says does not change");
  if (s.batch.empty()) fault("batch", "must list at least one request");
  double tokens = 0;
  double requests = 0;
  for (const RequestConfig& request : s.batch) {
    tokens += double(request.count) * double(request.new_tokens);
    requests += double(request.count);
  }
  if (tokens > double(kTokensMax))
    fault("batch", fmt::format("has {:.0f} new tokens an attention rank; {} is the most", tokens, kTokensMax));
  if (requests > 1e6)
    fault("batch", fmt::format("has {:.0f} requests an attention rank; 1000000 is the most", requests));
}

LoadedScenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& settings,
                             TraceStore& traces) {
  JsonNode root = read_json_file(file);
  for (const std::string& setting : settings) set_pointer(root, setting);
  return load_scenario(std::move(root), file, traces);
}

LoadedScenario load_scenario(JsonNode root, const std::filesystem::path& file, TraceStore& traces) {
  LoadedScenario loaded;
  loaded.source = file.string();
  loaded.folder = file.parent_path();
  require_format_version(root, 1, loaded.source);

  std::vector<Fault> faults;
  Scenario& scenario = loaded.scenario;
  read_fields(root, Place{}, scenario, faults);
  if (scenario.name.empty()) scenario.name = file.stem().string();
  if (!scenario.model.empty())
    resolve(root, "/model", relative_to(loaded.folder, scenario.model), load_llm, loaded.model, faults);
  NodeConfig& node = scenario.cluster.node;
  resolve(root, "/cluster/node/gpu", relative_to(loaded.folder, node.gpu), load_gpu, loaded.gpu, faults);
  resolve(root, "/cluster/node/nic", relative_to(loaded.folder, node.nic), load_nic, loaded.nic, faults);
  resolve(root, "/cluster/node/cpu", relative_to(loaded.folder, node.cpu), load_cpu, loaded.cpu, faults);
  resolve_profile(root, loaded, faults);
  if (!scenario.routing.trace.empty()) loaded.trace = read_trace(root, loaded, traces, faults);
  for (Fault& fault : check_scenario_rerouting(root, loaded)) faults.push_back(std::move(fault));
  throw_if_any(loaded.source, std::move(faults));

  if (loaded.profile) take_from_profile(root, *loaded.profile, loaded);
  loaded.root = std::move(root);
  if (!node.nvlink) node.nvlink = loaded.gpu.scale_up.value_or(Rate{0});
  if (!node.pcie) node.pcie = {kPciePayload * loaded.gpu.pcie.value_or(Rate{64e9}).bytes_per_s};
  if (!node.nic_rate) node.nic_rate = loaded.nic.rate;
  if (!node.nic_latency) node.nic_latency = Duration{loaded.nic.latency.ps / 2};  // of its two NICs
  return loaded;
}

NodeSpec node_spec(const LoadedScenario& loaded) {
  const NodeConfig& config = loaded.scenario.cluster.node;
  NodeSpec node;
  node.gpus = config.gpus;
  node.nvlink = *config.nvlink;
  node.nvlink_latency = config.nvlink_latency;
  node.pcie = *config.pcie;
  node.pcie_latency = config.pcie_latency;
  node.gpus_per_pcie_switch = config.gpus_per_pcie_switch;
  node.nics = config.nics;
  node.nic = *config.nic_rate;
  node.nic_latency = *config.nic_latency;
  node.sockets = config.sockets;
  node.dram = loaded.cpu.memory_bandwidth;
  return node;
}

}  // namespace moesim
