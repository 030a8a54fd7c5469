// A scenario: everything that a run depends on, as one JSON file says it. docs/scenario.md is made from this file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/cost_model.h"
#include "models/device_profile.h"
#include "models/devices.h"
#include "models/llm.h"
#include "models/llm_kernels.h"
#include "sim/comm/collective.h"
#include "sim/config/fields.h"
#include "sim/config/json.h"
#include "sim/config/registry.h"
#include "sim/moe/load_prediction.h"
#include "sim/moe/offload/pipeline.h"
#include "sim/moe/placement.h"
#include "sim/moe/rebalance.h"
#include "sim/moe/replica_choice.h"
#include "sim/moe/schedule.h"
#include "sim/moe/traffic.h"
#include "sim/net/message_network.h"
#include "sim/run/offload_config.h"
#include "sim/run/speculation_config.h"
#include "topologies/builder.h"
#include "traces/rerouting.h"
#include "traces/routing_trace.h"
#include "traces/synthetic.h"

namespace moesim {

// A server by the names of its devices. What is not given follows from the devices' catalogue files.
struct NodeConfig {
  std::string gpu = "h100-sxm-80";
  std::string nic = "connectx-7";
  std::string cpu = "xeon-platinum-8480";
  int32_t gpus = 8;
  int32_t nics = 8;
  int32_t gpus_per_pcie_switch = 2;
  int32_t sockets = 2;
  std::optional<Rate> nvlink;
  std::optional<Rate> pcie;
  std::optional<Rate> nic_rate;
  Duration nvlink_latency = NodeSpec{}.nvlink_latency;
  Duration pcie_latency = NodeSpec{}.pcie_latency;
  std::optional<Duration> nic_latency;
};

template <class Visitor>
void fields(Visitor& v, NodeConfig& s) {
  const auto latency = between(Duration{}, Duration{1'000'000'000'000});
  v.optional("gpu", s.gpu, "GPU: a name of `moesim list gpus`, or a JSON file of that form");
  v.optional("nic", s.nic, "NIC: a name of `moesim list nics`, or a JSON file of that form");
  v.optional("cpu", s.cpu, "CPU of each socket: a name of `moesim list cpus`, or a JSON file of that form");
  v.optional("gpus", s.gpus, between(1, 1024), "GPUs of a server");
  v.optional("nics", s.nics, between(0, 1024), "NICs of a server; GPU g uses NIC g * nics / gpus");
  v.optional("gpus_per_pcie_switch", s.gpus_per_pcie_switch, between(1, 1024),
             "GPUs that share a PCIe switch and its uplink");
  v.optional("sockets", s.sockets, between(1, 16), "CPU sockets of a server");
  v.optional("nvlink", s.nvlink, at_least(Rate{0}),
             "NVLink of one GPU, each direction; 0 GB/s where there is none. The GPU's own");
  v.optional("pcie", s.pcie, above(Rate{0}),
             "PCIe of a GPU or NIC, each direction. 85 % of the GPU's nominal rate, which copies reach");
  v.optional("nic_rate", s.nic_rate, above(Rate{0}), "one NIC, each direction. The NIC's own");
  v.optional("nvlink_latency", s.nvlink_latency, latency, "from a GPU to the NVSwitch, or back");
  v.optional("pcie_latency", s.pcie_latency, latency, "of one PCIe link");
  v.optional("nic_latency", s.nic_latency, latency,
             "from a NIC to its leaf switch, or back. Half of the NIC's own, which counts both ends");
}

struct ClusterConfig {
  int32_t nodes = 1;
  NodeConfig node;
  std::vector<double> gpu_speeds;
  PolicyChoice<TopologyBuilder> fabric{"leaf-spine"};
};

template <class Visitor>
void fields(Visitor& v, ClusterConfig& s) {
  v.optional("nodes", s.nodes, between(1, 100'000), "servers");
  v.optional("node", s.node, "what each server is made of");
  v.optional("gpu_speeds", s.gpu_speeds, between(0.01, 100.0),
             "[GPU] how fast each is, over the catalogue's: 0.5 takes twice as long for every kernel. A list for fewer "
             "than all repeats, so that one of a server's GPUs says it of all servers. 1 each");
  v.optional("fabric", s.fabric, "what joins the servers");
}

struct ParallelismConfig {
  int32_t tp = 1;
  std::optional<int32_t> ep;
  int32_t spare_slots = 0;
  std::vector<int32_t> slots;
  bool context_coherent = false;
};

template <class Visitor>
void fields(Visitor& v, ParallelismConfig& s) {
  v.optional("tp", s.tp, between(1, 1024), "GPUs that share one attention rank (tensor parallelism), within a server");
  v.optional("ep", s.ep, between(1, 1'000'000),
             "GPUs over which the experts of a layer are spread (expert parallelism). All, or the most that have "
             "an expert each and divide them");
  v.optional("spare_slots", s.spare_slots, between(0, 65535),
             "expert slots that each GPU has in a MoE layer beyond its share of the experts, for copies; they take "
             "memory");
  v.optional("slots", s.slots, between(0, 65535),
             "[GPU of an expert-parallel group] expert slots that each has in a MoE layer, where they differ: instead "
             "of its share and `spare_slots`. A list for fewer than all repeats");
  v.optional("context_coherent", s.context_coherent,
             "every GPU of an expert-parallel group keeps the KV cache of all its requests, and a token computes "
             "attention where its first expert was: ExFlow. In decode only");
}

struct PrecisionConfig {
  LlmPrecision model;
  Precision dispatch = Precision::bf16;
  Precision combine = Precision::bf16;
};

template <class Visitor>
void fields(Visitor& v, PrecisionConfig& s) {
  fields(v, s.model);
  v.optional("dispatch", s.dispatch, "tokens on their way to experts; fp8 adds a 4-byte scale every 128 values");
  v.optional("combine", s.combine, "results on their way back");
}

struct RequestConfig {
  int32_t count = 1;
  int64_t new_tokens = 1;
  int64_t context = 0;
};

template <class Visitor>
void fields(Visitor& v, RequestConfig& s) {
  v.optional("count", s.count, between(1, 1'000'000), "like requests");
  v.required("new_tokens", s.new_tokens, between(int64_t{1}, int64_t{100'000'000}),
             "tokens that the step computes for each: a prefill chunk's length, 1 in decode");
  v.optional("context", s.context, between(int64_t{0}, int64_t{100'000'000}), "tokens already in the KV cache of each");
}

struct RoutingConfig {
  std::string trace;
  SyntheticRouting synthetic;
  double train_fraction = 0.5;
  std::optional<Rerouting> reroute;
};

template <class Visitor>
void fields(Visitor& v, RoutingConfig& s) {
  v.optional("trace", s.trace,
             "routing trace, HDF5 or .npz, relative to the scenario file; without it, routing is synthetic");
  v.optional("synthetic", s.synthetic, "how routing is drawn where no trace is given");
  v.optional("train_fraction", s.train_fraction, between(0.0, 0.95),
             "part of the trace, from its start, whose loads placements may know; steps are judged on the rest");
  v.optional("reroute", s.reroute, "experts are chosen anew from the gate's scores, recorded or drawn");
}

struct CommunicationConfig {
  PolicyChoice<AllToAllAlgorithm> all_to_all{"direct"};
  PolicyChoice<ReductionAlgorithm> reduction{"direct"};
  TokenCopies token_copies = TokenCopies::per_gpu;
  int32_t sms = 20;  // DeepEP's normal kernels, README: 20 SMs or 24
  SoftwareStack stack;
};

template <class Visitor>
void fields(Visitor& v, CommunicationConfig& s) {
  v.optional("all_to_all", s.all_to_all, "how tokens travel to experts and back");
  v.optional("reduction", s.reduction, "how tensor-parallel ranks sum and share activations");
  v.optional("token_copies", s.token_copies,
             "a token with several experts on one GPU travels there once, or once an expert");
  v.optional("sms", s.sms, between(0, 1024),
             "SMs that a communication kernel holds; 0 where copy engines or NICs do all the work");
  fields(v, s.stack);
}

// How weights get to their new GPUs.
enum class Migration { blocking, background };

constexpr auto enum_names(Migration) {
  return std::to_array<std::pair<Migration, const char*>>(
      {{Migration::blocking, "blocking"}, {Migration::background, "background"}});
}

struct RebalanceConfig {
  PolicyChoice<RebalancePolicy> policy{"never"};
  std::optional<PolicyChoice<PlacementPolicy>> placement;
  PolicyChoice<LoadPredictionPolicy> prediction{"moving_average"};
  Migration migration = Migration::blocking;
  Duration stall;
};

template <class Visitor>
void fields(Visitor& v, RebalanceConfig& s) {
  v.optional("policy", s.policy, "when a new placement is made");
  v.optional("placement", s.placement, "which placement is made then; the scenario's own policy");
  v.optional("prediction", s.prediction, "what it takes the loads to come to be, from those of the steps so far");
  v.optional("migration", s.migration,
             "`blocking`: the next step starts when all weights have arrived; `background`: they travel behind steps, "
             "and the new placement takes effect when they have arrived");
  v.optional("stall", s.stall, between(Duration{}, Duration{1'000'000'000'000'000}),
             "time that every rebalance stops all GPUs for, besides transfers; 2 to 3 s were measured");
}

struct MemoryConfig {
  double usable = 0.92;
};

template <class Visitor>
void fields(Visitor& v, MemoryConfig& s) {
  v.optional("usable", s.usable, between(0.01, 1.0),
             "part of a GPU's memory that weights, KV cache and activations may fill");
}

// A link that fails, is slowed down, or comes back, at a time of the run.
struct LinkChangeConfig {
  Duration at;
  std::string from;
  std::string to;
  std::optional<Rate> rate;
  std::optional<Rate> background;
  bool one_way = false;
};

template <class Visitor>
void fields(Visitor& v, LinkChangeConfig& s) {
  v.required("at", s.at, at_least(Duration{}), "since the start of the run");
  v.required("from", s.from, "vertex at one end of the link, as in `moesim topology`: leaf0, node3/nic1");
  v.required("to", s.to, "vertex at the other end");
  v.optional(
      "rate", s.rate, at_least(Rate{0}),
      "what the link carries from then on, at most its own rate; 0 GB/s where it has failed, and what crosses it "
      "takes another way. Its own rate where neither this nor the background is given");
  v.optional("background", s.background, at_least(Rate{0}),
             "other traffic from then on, which leaves that much less of the link's own rate");
  v.optional("one_way", s.one_way, "only the direction from -> to; else both");
}

// As the file gives it, with defaults filled in.
struct Scenario {
  int32_t format_version = 1;
  std::string name;
  std::string description;
  std::string model;
  ClusterConfig cluster;
  ParallelismConfig parallelism;
  PrecisionConfig precision;
  std::vector<RequestConfig> batch;
  RoutingConfig routing;
  PolicyChoice<PlacementPolicy> placement{"contiguous"};
  PolicyChoice<ReplicaPolicy> replica_choice{"even"};
  RebalanceConfig rebalance;
  std::optional<SpeculationConfig> speculation;
  std::optional<OffloadConfig> offload;
  std::optional<PipelineSettings> pipeline;
  PolicyChoice<SchedulePolicy> schedule{"sequential"};
  CommunicationConfig communication;
  std::string profile;
  Launch launch = Launch::graph;
  KernelParameters cost;
  MemoryConfig memory;
  Fidelity network = Fidelity::flow;
  Percentage rate_tolerance;
  PacketOptions packet;
  PolicyChoice<PathPolicy> paths{"hash"};
  std::vector<LinkChangeConfig> link_changes;
  int32_t steps = 1;
  uint64_t seed = 1;
};

template <class Visitor>
void fields(Visitor& v, Scenario& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.optional("name", s.name, "title in reports; the file's name where it is empty");
  v.optional("description", s.description, "what the scenario is about");
  v.required("model", s.model,
             "LLM: a name of `moesim list llms`, a Hugging Face config.json, or a JSON file as in models/llms");
  v.optional("cluster", s.cluster, "servers and what joins them");
  v.optional("parallelism", s.parallelism, "how the model is spread over GPUs");
  v.optional("precision", s.precision, "number formats");
  v.required("batch", s.batch,
             "requests of each attention rank in a step; entries of one token are decode, others prefill");
  v.optional("routing", s.routing, "which experts tokens choose");
  v.optional("placement", s.placement, "which GPUs host which experts");
  v.optional("replica_choice", s.replica_choice,
             "how the tokens of an expert are split over its copies, where several GPUs host it");
  v.optional("rebalance", s.rebalance, "new placements during the run");
  v.optional("speculation", s.speculation,
             "experts predicted before tokens are routed, and tokens shuffled to them; without it nothing is");
  v.optional("offload", s.offload,
             "experts that do not all fit in the GPUs' memory: the others wait in the host's; without it all must fit");
  v.optional("pipeline", s.pipeline,
             "weights stream through the one GPU from the host's memory, layer by layer; without it they lie on GPUs");
  v.optional("schedule", s.schedule, "in which order a step does its operations");
  v.optional("communication", s.communication, "collectives");
  v.optional(
      "profile", s.profile,
      "device profile that kernel times, launches and collectives come from: a name of `moesim list profiles`, or "
      "a file. Without one they come from the data sheet and `cost`");
  v.optional("launch", s.launch,
             "`graph`: kernels are nodes of a CUDA graph; `eager`: the host launches each, at the profile's times");
  v.optional("cost", s.cost, "what kernels reach of the data sheet's rates");
  v.optional("memory", s.memory, "memory of a GPU");
  v.optional("network", s.network,
             "fidelity: `ideal` has no contention, `flow` shares links max-min fairly, `packet` has queues and losses");
  v.optional("rate_tolerance", s.rate_tolerance, between(Percentage{0}, Percentage{0.1}),
             "how far the times of transfers may be off for the sake of speed, `flow` only; 0% is exact");
  v.optional("packet", s.packet, "ports, packets and transport of the network `packet`");
  v.optional("paths", s.paths, "over which of several equal paths messages travel");
  v.optional("link_changes", s.link_changes, "links that fail, slow down or come back during the run");
  v.optional("steps", s.steps, between(1, 1'000'000), "steps to run");
  v.optional("seed", s.seed, between(uint64_t{0}, uint64_t{9'007'199'254'740'992}), "of all random choices");
}

void check_fields(const Scenario& s, const std::function<void(std::string key, std::string message)>& fault);

// A scenario with what its names stand for.
struct LoadedScenario {
  Scenario scenario;
  std::string source;            // the file, as errors name it
  JsonNode root;                 // what it says, for the lines of faults found later
  std::filesystem::path folder;  // of the file; trace paths are relative to it
  LlmSpec model;
  GpuSpec gpu;
  std::optional<DeviceProfile> profile;  // for this GPU: scaled by data sheets where another was measured
  NicSpec nic;
  CpuSpec cpu;
  const RoutingTrace* trace = nullptr;  // in the store it was loaded with; none where routing is drawn
};

// Traces by file name, so that variants share what they read, and all is read before any thread starts: the HDF5
// library is not safe to use from several.
using TraceStore = std::map<std::string, RoutingTrace>;

// Reads, checks and resolves. Throws one ConfigError with every fault found. The store must outlive the scenario.
LoadedScenario load_scenario(const std::filesystem::path& file, const std::vector<std::string>& settings,
                             TraceStore& traces);

// The same of what a file would say; the file need not be there.
LoadedScenario load_scenario(JsonNode root, const std::filesystem::path& file, TraceStore& traces);

NodeSpec node_spec(const LoadedScenario& loaded);

}  // namespace moesim
