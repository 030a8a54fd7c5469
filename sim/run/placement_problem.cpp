#include "sim/run/placement_problem.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>
#include <numeric>

#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr int64_t kWeightMax = int64_t{1} << 40;  // sums over experts stay far from overflow
constexpr int32_t kGpusMax = 65536;
constexpr size_t kExpertsMax = 65535;

// What an answer adds to a case; known answers that a file has already are replaced.
constexpr const char* kAnswers[] = {"physical_to_logical", "gpu_loads", "gpu_load_max_over_mean",
                                    "relaxed_max_over_mean", "proof"};

struct CaseCosts {
  std::vector<double> token_s;
  double dispatch_bytes = 0;
  double combine_bytes = 0;
  std::vector<double> link_s;
  std::vector<std::vector<int32_t>> path;
};

template <class Visitor>
void fields(Visitor& v, CaseCosts& s) {
  v.optional("token_s", s.token_s, at_least(0.0), "[gpu] seconds of an expert's products on one routed token");
  v.optional("dispatch_bytes", s.dispatch_bytes, at_least(0.0), "of one routed token on its way there");
  v.optional("combine_bytes", s.combine_bytes, at_least(0.0), "and back");
  v.optional("link_s", s.link_s, at_least(0.0), "[link] seconds a byte");
  v.optional("path", s.path, at_least(0), "[from * gpus + to] links crossed");
}

struct CaseRecord {
  std::string name;
  std::vector<std::vector<int64_t>> weights;
  int32_t replicas = 0;
  int32_t groups = 1;
  int32_t nodes = 1;
  int32_t gpus = 0;
  std::vector<int32_t> slots;
  std::vector<std::vector<int64_t>> transitions;
  std::vector<std::vector<int64_t>> together;
  std::vector<double> speeds;
  std::optional<CaseCosts> costs;
};

template <class Visitor>
void fields(Visitor& v, CaseRecord& s) {
  const auto weight = between(int64_t{0}, kWeightMax);
  v.optional("name", s.name, "what to call it");
  v.required("weights", s.weights, weight, "[layer][expert] load of each expert");
  v.required("replicas", s.replicas, at_least(1), "slots of a layer on all GPUs together");
  v.optional("groups", s.groups, at_least(1), "groups of experts, in order, of which a token uses few");
  v.optional("nodes", s.nodes, at_least(1), "servers");
  v.required("gpus", s.gpus, between(1, kGpusMax), "GPUs on all servers together");
  v.optional("slots", s.slots, at_least(0), "[gpu] slots of each, where they differ; they sum to replicas");
  v.optional("transitions", s.transitions, weight, "[layer][expert * experts + expert of the next layer]");
  v.optional("together", s.together, weight, "[layer][expert * experts + other expert of the layer]");
  v.optional("speeds", s.speeds, above(0.0), "[gpu] tokens a second, where there are no costs.token_s");
  v.optional("costs", s.costs, "what routed tokens cost, in seconds and bytes");
}

using FaultOf = std::function<void(std::string key, std::string message)>;

void check_weights(const CaseRecord& s, const FaultOf& fault) {
  if (s.weights.empty() || s.weights[0].empty()) return fault("weights", "must have a layer and an expert at least");
  const size_t experts = s.weights[0].size();
  for (size_t layer = 1; layer < s.weights.size(); ++layer)
    if (s.weights[layer].size() != experts)
      fault("weights", fmt::format("layer {} has {} experts, layer 0 has {}", layer, s.weights[layer].size(), experts));
  if (experts > kExpertsMax) fault("weights", fmt::format("has {} experts; {} is the most", experts, kExpertsMax));
  if (experts > size_t(s.replicas))
    fault("replicas", fmt::format("{} experts do not fit in {} replicas", experts, s.replicas));
  if (experts % size_t(s.groups) != 0)
    fault("groups", fmt::format("{} groups do not divide {} experts", s.groups, experts));
}

void check_slots(const CaseRecord& s, const FaultOf& fault) {
  if (s.gpus % s.nodes != 0) fault("gpus", fmt::format("{} GPUs are not divisible by {} nodes", s.gpus, s.nodes));
  if (s.slots.empty()) {
    if (s.replicas % s.gpus != 0)
      fault("replicas", fmt::format("{} replicas are not divisible by {} GPUs; `slots` may give each GPU its own "
                                    "number",
                                    s.replicas, s.gpus));
    return;
  }
  const int64_t sum = std::accumulate(s.slots.begin(), s.slots.end(), int64_t{0});
  if (s.slots.size() != size_t(s.gpus))
    fault("slots", fmt::format("has {} numbers, one a GPU are {}", s.slots.size(), s.gpus));
  else if (sum != s.replicas)
    fault("slots", fmt::format("sum to {}, but there are {} replicas", sum, s.replicas));
}

void check_table(const std::vector<std::vector<int64_t>>& table, size_t layers, size_t experts, const char* key,
                 const FaultOf& fault) {
  if (table.empty()) return;
  if (table.size() != layers) fault(key, fmt::format("has {} layers, not {}", table.size(), layers));
  for (size_t layer = 0; layer < table.size(); ++layer)
    if (table[layer].size() != experts * experts)
      fault(key, fmt::format("layer {} has {} numbers, not {} x {}", layer, table[layer].size(), experts, experts));
}

void check_costs(const CaseRecord& s, const FaultOf& fault) {
  const size_t gpus = size_t(s.gpus);
  if (!s.speeds.empty() && s.speeds.size() != gpus)
    fault("speeds", fmt::format("has {} numbers, one a GPU are {}", s.speeds.size(), gpus));
  if (!s.costs) return;
  if (!s.costs->token_s.empty() && s.costs->token_s.size() != gpus)
    fault("costs", fmt::format("token_s has {} numbers, one a GPU are {}", s.costs->token_s.size(), gpus));
  if (!s.costs->path.empty() && s.costs->path.size() != gpus * gpus)
    fault("costs", fmt::format("path has {} entries, not {} x {}", s.costs->path.size(), gpus, gpus));
  for (size_t pair = 0; pair < s.costs->path.size(); ++pair)
    for (const int32_t link : s.costs->path[pair])
      if (size_t(link) >= s.costs->link_s.size())
        return fault("costs",
                     fmt::format("path {} crosses link {}, but link_s has {}", pair, link, s.costs->link_s.size()));
}

void check_fields(const CaseRecord& s, const FaultOf& fault) {
  check_weights(s, fault);
  check_slots(s, fault);
  check_costs(s, fault);
  if (s.weights.empty() || s.weights[0].empty()) return;
  check_table(s.transitions, s.weights.size() - 1, s.weights[0].size(), "transitions", fault);
  check_table(s.together, s.weights.size(), s.weights[0].size(), "together", fault);
}

std::vector<std::vector<double>> distances(int32_t gpus, int32_t gpus_per_node) {
  std::vector<std::vector<double>> distance(size_t(gpus), std::vector<double>(size_t(gpus), 0));
  for (int32_t from = 0; from < gpus; ++from)
    for (int32_t to = 0; to < gpus; ++to)
      if (from != to) distance[size_t(from)][size_t(to)] = from / gpus_per_node == to / gpus_per_node ? 1 : 2;
  return distance;
}

PlacementInput input_of(CaseRecord&& record) {
  PlacementInput in;
  in.layers = int32_t(record.weights.size());
  in.experts = int32_t(record.weights[0].size());
  in.gpus = record.gpus;
  in.gpus_per_node = record.gpus / record.nodes;
  in.slots_per_gpu = record.slots.empty() ? record.replicas / record.gpus
                                          : *std::max_element(record.slots.begin(), record.slots.end());
  in.slots = std::move(record.slots);
  in.groups = record.groups;
  in.past_load = std::move(record.weights);
  in.transitions = std::move(record.transitions);
  in.together = std::move(record.together);
  if (record.costs) {
    in.costs.token_s = std::move(record.costs->token_s);
    in.costs.dispatch_bytes = record.costs->dispatch_bytes;
    in.costs.combine_bytes = record.costs->combine_bytes;
    in.costs.link_s = std::move(record.costs->link_s);
    in.costs.path = std::move(record.costs->path);
    in.costs.distance = distances(in.gpus, in.gpus_per_node);
  }
  if (in.costs.token_s.empty())
    for (const double speed : record.speeds) in.costs.token_s.push_back(1 / speed);
  return in;
}

OrderedJson as_json(const JsonNode& node) {
  OrderedJson json;
  switch (node.kind) {
    case JsonKind::null:
      break;
    case JsonKind::boolean:
      json = node.text == "true";
      break;
    case JsonKind::number:
      json = OrderedJson::parse(node.text);
      break;
    case JsonKind::string:
      json = node.text;
      break;
    case JsonKind::array:
      json = OrderedJson::array();
      for (const JsonNode& child : node.children) json.push_back(as_json(child));
      break;
    case JsonKind::object:
      json = OrderedJson::object();
      for (const JsonNode& child : node.children) json[child.key] = as_json(child);
      break;
  }
  return json;
}

PlacedCase place_case(const PlacementCase& one, const PolicyChoice<PlacementPolicy>& policy, uint64_t seed) {
  Rng rng = Rng::stream(seed, "placement");
  const Placement placement = policy.decide(one.input, rng);
  check_placement(placement, one.input);
  const std::vector<int32_t> slots = slots_of_gpus(one.input);
  const int64_t replicas = std::accumulate(slots.begin(), slots.end(), int64_t{0});
  PlacedCase placed;
  placed.physical_to_logical = slot_map(placement, slots);
  placed.proof = proof_of(placement);
  for (size_t layer = 0; layer < one.input.past_load.size(); ++layer) {
    const std::vector<int64_t>& load = one.input.past_load[layer];
    placed.gpu_loads.push_back(gpu_loads(placed.physical_to_logical[layer], slots, load));
    placed.gpu_load_max_over_mean.push_back(max_over_mean(placed.gpu_loads.back()));
    placed.relaxed_max_over_mean.push_back(relaxed_max_over_mean(load, one.input.gpus, replicas));
  }
  return placed;
}

}  // namespace

PlacementProblem parse_placement_problem(JsonNode root, const std::string& source) {
  if (root.kind != JsonKind::object)
    throw ConfigError(source, fmt::format("must be an object with a list of cases, but is {}", kind_name(root.kind)));
  const JsonNode* const list = root.find("cases");
  if (list == nullptr) throw ConfigError(source, "missing key \"cases\"");
  std::vector<Fault> faults;
  const Place top;
  const Place cases_place{&top, "cases"};
  PlacementProblem problem;
  problem.source = source;
  if (list->kind != JsonKind::array)
    add_type_fault(*list, cases_place, JsonKind::array, faults);
  else if (list->children.empty())
    add_fault(faults, *list, cases_place, "must list at least one case");
  for (size_t i = 0; i < list->children.size() && list->kind == JsonKind::array; ++i) {
    CaseRecord record;
    const size_t faults_before = faults.size();
    read_fields(list->children[i], Place{&cases_place, {}, int64_t(i)}, record, faults,
                {std::begin(kAnswers), std::end(kAnswers)});
    if (faults.size() != faults_before) continue;
    std::string name = record.name.empty() ? fmt::format("{}", i) : record.name;
    problem.cases.push_back({std::move(name), input_of(std::move(record))});
  }
  throw_if_any(source, std::move(faults));
  problem.root = std::move(root);
  return problem;
}

std::vector<PlacedCase> solve_placement_problem(const PlacementProblem& problem,
                                                const PolicyChoice<PlacementPolicy>& policy, uint64_t seed) {
  std::vector<PlacedCase> placed;
  for (const PlacementCase& one : problem.cases) placed.push_back(place_case(one, policy, seed));
  return placed;
}

std::string placement_answer_json(const PlacementProblem& problem, const PolicyChoice<PlacementPolicy>& policy,
                                  const std::vector<PlacedCase>& placed) {
  CHECK(placed.size() == problem.cases.size());
  OrderedJson json = as_json(problem.root);
  json["policy"] = json_value(policy);
  for (size_t i = 0; i < placed.size(); ++i) {
    OrderedJson& one = json["cases"][i];
    for (const char* const answer : kAnswers) one.erase(answer);
    one["physical_to_logical"] = placed[i].physical_to_logical;
    one["gpu_loads"] = placed[i].gpu_loads;
    one["gpu_load_max_over_mean"] = placed[i].gpu_load_max_over_mean;
    one["relaxed_max_over_mean"] = placed[i].relaxed_max_over_mean;
    if (placed[i].proof) one["proof"] = to_json(*placed[i].proof);
  }
  return json_text(json);
}

std::string placement_answer_text(const PlacementProblem& problem, const std::vector<PlacedCase>& placed) {
  std::string out = fmt::format("{:<28}{:>7}{:>8}{:>7}{:>10}{:>10}{:>8}\n", "case", "layers", "experts", "GPUs",
                                "max/mean", "worst", "bound");
  for (size_t i = 0; i < placed.size(); ++i) {
    const PlacementInput& in = problem.cases[i].input;
    const std::vector<double>& ratios = placed[i].gpu_load_max_over_mean;
    const std::vector<double>& bounds = placed[i].relaxed_max_over_mean;
    const auto mean = [](const std::vector<double>& list) {
      return std::accumulate(list.begin(), list.end(), 0.0) / double(list.size());
    };
    fmt::format_to(std::back_inserter(out), "{:<28}{:>7}{:>8}{:>7}{:>10.4f}{:>10.4f}{:>8.4f}\n", problem.cases[i].name,
                   in.layers, in.experts, in.gpus, mean(ratios), *std::max_element(ratios.begin(), ratios.end()),
                   mean(bounds));
    if (placed[i].proof)
      fmt::format_to(std::back_inserter(out), "  {}: objective {:.6g}, bound {:.6g}, gap {:.2f}%\n",
                     placed[i].proof->solver, placed[i].proof->objective, placed[i].proof->bound,
                     100 * placed[i].proof->gap);
    if (placed[i].proof)
      for (const std::string& warning : placed[i].proof->warnings)
        fmt::format_to(std::back_inserter(out), "  warning: {}\n", warning);
  }
  return out + "max/mean: load of the fullest GPU over the mean, mean over layers; bound: no placement is below\n";
}

}  // namespace moesim
