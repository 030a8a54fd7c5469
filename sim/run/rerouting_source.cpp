#include "sim/run/rerouting_source.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/run/names.h"
#include "traces/drawn_scores.h"
#include "traces/trace_copy.h"

namespace moesim {
namespace {

// Drawn scores of so many tokens are held at a time.
constexpr int64_t kDrawnBlock = 256;

RoutingShape shape_of_scores(const LlmSpec& llm) { return {moe_layers(llm), llm.experts, llm.experts}; }

TraceHead head_of_drawn(const LlmSpec& llm, int64_t tokens) {
  TraceHead head;
  head.about.tokens = tokens;
  head.about.layers = moe_layers(llm);
  head.about.experts = llm.experts;
  head.about.top_k = llm.experts;
  head.about.source = "synthetic";
  head.gate = GateWidth::single;
  return head;
}

}  // namespace

Rerouting rerouting_of(const LoadedScenario& loaded) {
  Rerouting options = *loaded.scenario.routing.reroute;
  if (options.top_k == 0) options.top_k = loaded.model.top_k;
  if (idle_experts(options) == 0 && options.selection == Selection::top_k)
    options.copy_experts = loaded.model.zero_experts;
  return options;
}

std::vector<Fault> check_scenario_rerouting(const JsonNode& root, const LoadedScenario& loaded) {
  const RoutingConfig& routing = loaded.scenario.routing;
  std::vector<Fault> faults;
  if (!routing.reroute || loaded.model.experts == 0) return faults;
  if (loaded.trace == nullptr && !routing.trace.empty()) return faults;  // another fault says why
  const std::string place = "/routing/reroute";
  const Popularity popularity = routing.synthetic.popularity;
  if (loaded.trace == nullptr && (is_drifting(popularity) || popularity == Popularity::domains))
    faults.push_back(fault_at(
        root, place, fmt::format("popularity {} has no scores; draw another /routing/synthetic", name_of(popularity))));
  if (routing.reroute->shared_experts > 0)
    faults.push_back(
        fault_at(root, place + "/shared_experts",
                 "changes how many routed experts there are: transform a trace, and let the model say so"));
  const TraceHead head = loaded.trace != nullptr ? head_of(*loaded.trace) : head_of_drawn(loaded.model, 0);
  for (const Fault& fault : check_rerouting(rerouting_of(loaded), head))
    faults.push_back(fault_at(root, place + fault.path, fault.message));
  return faults;
}

RoutingTrace rerouted_trace(const LoadedScenario& loaded, int64_t drawn_tokens, RerouteCounts& counts) {
  const Rerouting options = rerouting_of(loaded);
  const Scenario& scenario = loaded.scenario;
  if (loaded.trace != nullptr) {
    RoutingTrace recorded = rerouted(options, *loaded.trace, scenario.seed, counts);
    recorded.gate = {};  // a step needs the choices alone
    return recorded;
  }
  const DrawnScores scores(scenario.routing.synthetic, shape_of_scores(loaded.model), scenario.seed);
  const TokenWalk walk = [&](const auto& use) {
    for (int64_t first = 0; first < drawn_tokens; first += kDrawnBlock)
      use(scores.draw(first, std::min(kDrawnBlock, drawn_tokens - first)), first);
  };
  RoutingTrace out;
  const ReroutedUse use{[&](const TraceHead& head) {
                          out = head.about;
                          out.tokens = 0;
                        },
                        [&](const RoutingTrace& batch) {
                          append_tokens(out, batch);
                          out.gate.clear();
                        }};
  counts = reroute(options, head_of_drawn(loaded.model, drawn_tokens), walk, scenario.seed, use);
  return out;
}

}  // namespace moesim
