// Where the routing of each step comes from: a trace, or a generator that is made into one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/moe/batch.h"
#include "sim/moe/layout.h"
#include "sim/moe/past_tokens.h"
#include "sim/moe/prediction.h"
#include "sim/moe/routing.h"
#include "sim/run/scenario.h"
#include "traces/drifting.h"
#include "traces/rerouter.h"
#include "traces/routing_trace.h"

namespace moesim {

struct RoutingSource {
  const RoutingTrace* recorded = nullptr;  // the scenario's trace, or
  RoutingTrace drawn;                      // one that a generator drew; of a drifting workload the training part
  std::optional<DriftingRouter> drifting;  // which then draws each step
  int64_t drifting_tokens = 0;             // that it draws in all steps
  int64_t train_tokens = 0;                // the first of the trace; steps are judged on the others
  int32_t layers = 0;                      // MoE layers of the model
  int32_t top_k = 0;                       // of the model; where experts are chosen anew, the most of a row
  std::optional<RerouteCounts> rerouting;  // of the whole trace, where experts are chosen anew
  bool with_gate = false;                  // steps tell the weights of choices, where they were recorded
};

// The scenario's trace, or one that is drawn for its batch. What is known before the first step of a drifting workload
// is drawn as the first step is, from other tokens.
RoutingSource routing_of(const LoadedScenario& loaded, const Layout& layout, const Batch& batch);

// Tokens that each expert of each MoE layer got in the training part: [layer][expert].
std::vector<std::vector<int64_t>> past_load(const RoutingSource& source);

// The same for each part of it, [part][layer][expert]: the domains, by number, where the trace tells them, else runs of
// equally many tokens.
std::vector<std::vector<std::vector<int64_t>>> past_load_of_parts(const RoutingSource& source);

// Tokens of the training part that chose both of two experts: [layer][expert * experts + expert of the next layer] for
// each layer but the last, and [layer][expert * experts + other expert of the layer], 0 on the diagonal.
std::vector<std::vector<int64_t>> past_transitions(const RoutingSource& source);
std::vector<std::vector<int64_t>> past_together(const RoutingSource& source);

// The first of the judged tokens in the trace, and how many there are.
std::pair<int64_t, int64_t> judged_part(const RoutingSource& source);

// The choices of a step's tokens. Each sequence of the batch reads the judged part from a place of its own, evenly
// spaced, and goes on there in the next step; who reaches the end starts again. Layers beyond the trace's repeat it,
// choices beyond the model's k are cut. Tokens of a drifting workload are drawn for their step; padding chooses
// nothing.
StepRouting route_step(const RoutingSource& source, const Batch& batch, const Layout& layout, int64_t step);

// Where in the judged part each request of the batch begins to read in this step, rank after rank: what route_step()
// says of sequences. And where `sequences` of them share the judged part and have read `turns` batches already.
std::vector<int64_t> places_of(const RoutingSource& source, const Batch& batch, int64_t step);
int64_t place_of(const RoutingSource& source, int64_t sequence, int64_t sequences, int64_t turns, int64_t new_tokens);

// The choices of requests that read from these places. Tokens of a drifting workload do not depend on them.
StepRouting route_requests(const RoutingSource& source, const Batch& batch, const Layout& layout,
                           const std::vector<int64_t>& places, int64_t step);

// What is known of these tokens before they are routed; of a drifting workload nothing.
StepTokens tokens_of_requests(const RoutingSource& source, const Batch& batch, const std::vector<int64_t>& places);

// Of a trace with gate weights of more choices than the model makes: the trace's token that each token of the step is.
// Empty for other traces.
std::vector<int64_t> wider_choices_of(const RoutingSource& source, const Batch& batch,
                                      const std::vector<int64_t>& places);

// Adds the gate weights that such a token has in a MoE layer, those beyond the model's choices too, to [expert].
void add_recorded_scores(const RoutingSource& source, int64_t trace_token, int32_t layer, std::span<float> scores);

// The training part; of a drifting workload none.
PastTokens past_tokens(const RoutingSource& source);

// What a reader of the results should know of the routing: repeated layers, cut choices, tokens used again.
std::vector<std::string> routing_notes(const RoutingSource& source, const Batch& batch, int64_t steps);

}  // namespace moesim
