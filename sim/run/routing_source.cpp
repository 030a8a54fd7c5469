#include "sim/run/routing_source.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "sim/run/names.h"
#include "traces/synthetic.h"

namespace moesim {
namespace {

const RoutingTrace& trace_of(const RoutingSource& source) {
  return source.recorded == nullptr ? source.drawn : *source.recorded;
}

int64_t judged_tokens(const RoutingSource& source) {
  return source.drifting ? source.drifting_tokens : trace_of(source).tokens - source.train_tokens;
}

int64_t sequences_of(const Batch& batch) {
  int64_t sequences = 0;
  for (const auto& requests : batch.ranks) sequences += int64_t(requests.size());
  return sequences;
}

// Copies a trace token's choices into every layer of the step.
void copy_choices(const RoutingSource& source, int64_t trace_token, int64_t step_token, StepRouting& step) {
  for (int32_t layer = 0; layer < step.layers; ++layer) {
    const auto from = choices(trace_of(source), trace_token, layer % trace_of(source).layers);
    std::copy_n(from.begin(), step.top_k, step.ids.begin() + (int64_t{layer} * step.tokens + step_token) * step.top_k);
  }
}

// Tokens of the training part by the experts that they chose in two layers: [expert * experts + other].
std::vector<int64_t> pairs_of(const RoutingSource& source, int32_t layer, int32_t other_layer) {
  const RoutingTrace& trace = trace_of(source);
  const size_t experts = size_t(trace.experts);
  std::vector<int64_t> counts(experts * experts, 0);
  for (int64_t token = 0; token < source.train_tokens; ++token) {
    const auto chosen = choices(trace, token, layer % trace.layers).first(size_t(source.top_k));
    const auto others = choices(trace, token, other_layer % trace.layers).first(size_t(source.top_k));
    for (const uint16_t expert : chosen)
      for (const uint16_t other : others)
        if (expert != kNoExpert && other != kNoExpert) ++counts[expert * experts + other];
  }
  return counts;
}

// Enough drawn tokens that each is judged once in the first steps; further steps use them again.
constexpr int64_t kDrawnChoicesMax = int64_t{1} << 27;

RoutingShape shape_of(const LoadedScenario& loaded) {
  const LlmSpec& llm = loaded.model;
  return {moe_layers(llm), llm.experts + llm.zero_experts, llm.top_k};
}

RoutingTrace drawn_trace(const LoadedScenario& loaded, const RoutingSource& source, const Batch& batch) {
  const Scenario& scenario = loaded.scenario;
  const double judged_part = 1 - scenario.routing.train_fraction;
  const int64_t tokens_max = kDrawnChoicesMax / std::max(int64_t{1}, int64_t{source.layers} * source.top_k);
  const double wanted = double(new_tokens(batch)) * scenario.steps / judged_part + 1;
  const int64_t one_step = int64_t(double(new_tokens(batch)) / judged_part) + 1;
  const int64_t tokens = std::max(one_step, int64_t(std::min(wanted, double(tokens_max))));
  return synthetic_trace(scenario.routing.synthetic, shape_of(loaded), scenario.seed, 0, tokens);
}

// As many tokens of steps before the first as the training part has beside the judged one, as far as memory allows.
RoutingTrace trace_before_drift(const LoadedScenario& loaded, const DriftingRouter& router, int64_t step_tokens) {
  const RoutingShape shape = shape_of(loaded);
  const double part = loaded.scenario.routing.train_fraction;
  const int64_t row = shape.layers * shape.top_k;
  const double wanted = double(step_tokens) * loaded.scenario.steps * part / (1 - part);
  RoutingTrace trace;
  const int64_t rows_max = kDrawnChoicesMax / std::max(int64_t{1}, row);
  trace.tokens = int64_t(std::min(wanted, double(rows_max))) + 1;
  trace.layers = shape.layers;
  trace.top_k = shape.top_k;
  trace.ids.resize(size_t(trace.tokens * row));
  for (int64_t token = 0; token < trace.tokens; ++token)
    router.route(-1 - token / step_tokens, token % step_tokens,
                 std::span(trace.ids).subspan(size_t(token * row), size_t(row)));
  return trace;
}

// Zero experts, the last of those drawn, compute nothing.
void drop_zero_experts(std::span<uint16_t> ids, int64_t experts) {
  for (uint16_t& expert : ids)
    if (expert >= experts) expert = kNoExpert;
}

// Tokens of a step that a drifting workload draws, once it is known which GPU holds which.
void draw_step(const RoutingSource& source, int64_t number, StepRouting& step) {
  const auto gpus = int32_t(step.first_token.size()) - 1;
  std::vector<uint16_t> row(size_t(step.layers) * size_t(step.top_k));
  for (int32_t gpu = 0; gpu < gpus; ++gpu) {
    const int64_t first = step.first_token[size_t(gpu)];
    const int64_t held = step.first_token[size_t(gpu) + 1] - first;
    const int64_t live = source.drifting->live_tokens(held, gpu, gpus);
    for (int64_t token = first; token < first + held; ++token) {
      if (token < first + live)
        source.drifting->route(number, token, row);
      else
        std::fill(row.begin(), row.end(), kNoExpert);
      for (int32_t layer = 0; layer < step.layers; ++layer)
        std::copy_n(row.begin() + int64_t{layer} * step.top_k, step.top_k,
                    step.ids.begin() + (int64_t{layer} * step.tokens + token) * step.top_k);
    }
  }
  drop_zero_experts(step.ids, step.experts);
}

void draw(const LoadedScenario& loaded, const Layout& layout, const Batch& batch, RoutingSource& source) {
  const SyntheticRouting& synthetic = loaded.scenario.routing.synthetic;
  if (is_drifting(synthetic.popularity)) {
    source.drifting.emplace(synthetic, shape_of(loaded), loaded.model.experts, layout.ep, loaded.scenario.seed);
    source.drifting_tokens = new_tokens(batch) * loaded.scenario.steps;
    source.drawn = trace_before_drift(loaded, *source.drifting, new_tokens(batch));
  } else {
    source.drawn = drawn_trace(loaded, source, batch);
  }
  source.drawn.experts = loaded.model.experts;
  drop_zero_experts(source.drawn.ids, loaded.model.experts);
  source.drawn.notes.push_back(fmt::format("routing is drawn ({}), not recorded", name_of(synthetic.popularity)));
}

}  // namespace

RoutingSource routing_of(const LoadedScenario& loaded, const Layout& layout, const Batch& batch) {
  RoutingSource source;
  source.layers = moe_layers(loaded.model);
  source.top_k = loaded.model.top_k;
  source.recorded = loaded.trace;
  if (loaded.trace == nullptr) draw(loaded, layout, batch, source);
  const int64_t tokens = trace_of(source).tokens;
  if (source.drifting)
    source.train_tokens = tokens;
  else
    source.train_tokens = std::min(tokens - 1, int64_t(double(tokens) * loaded.scenario.routing.train_fraction));
  return source;
}

std::vector<std::vector<int64_t>> past_load(const RoutingSource& source) {
  std::vector<std::vector<int64_t>> load(size_t(source.layers),
                                         std::vector<int64_t>(size_t(trace_of(source).experts), 0));
  for (int64_t token = 0; token < source.train_tokens; ++token)
    for (int32_t layer = 0; layer < source.layers; ++layer) {
      const auto chosen = choices(trace_of(source), token, layer % trace_of(source).layers);
      for (int32_t k = 0; k < source.top_k; ++k)
        if (chosen[size_t(k)] != kNoExpert) ++load[size_t(layer)][chosen[size_t(k)]];
    }
  return load;
}

std::pair<int64_t, int64_t> judged_part(const RoutingSource& source) {
  return {source.train_tokens, judged_tokens(source)};
}

std::vector<std::vector<int64_t>> past_transitions(const RoutingSource& source) {
  std::vector<std::vector<int64_t>> counts;
  for (int32_t layer = 0; layer + 1 < source.layers; ++layer) counts.push_back(pairs_of(source, layer, layer + 1));
  return counts;
}

std::vector<std::vector<int64_t>> past_together(const RoutingSource& source) {
  std::vector<std::vector<int64_t>> counts;
  for (int32_t layer = 0; layer < source.layers; ++layer) {
    counts.push_back(pairs_of(source, layer, layer));
    const size_t experts = size_t(trace_of(source).experts);
    for (size_t expert = 0; expert < experts; ++expert) counts.back()[expert * experts + expert] = 0;
  }
  return counts;
}

int64_t place_of(const RoutingSource& source, int64_t sequence, int64_t sequences, int64_t turns, int64_t new_tokens) {
  const int64_t judged = judged_tokens(source);
  CHECK(judged > 0);
  return (sequence * judged / sequences + turns * new_tokens) % judged;
}

std::vector<int64_t> places_of(const RoutingSource& source, const Batch& batch, int64_t step) {
  const int64_t sequences = sequences_of(batch);
  std::vector<int64_t> places;
  for (const auto& requests : batch.ranks)
    for (const Request& request : requests)
      places.push_back(place_of(source, int64_t(places.size()), sequences, step, request.new_tokens));
  return places;
}

StepRouting route_requests(const RoutingSource& source, const Batch& batch, const Layout& layout,
                           const std::vector<int64_t>& places, int64_t step) {
  StepRouting routing;
  routing.tokens = new_tokens(batch);
  routing.layers = source.layers;
  routing.experts = int32_t(trace_of(source).experts);
  routing.top_k = source.top_k;
  routing.ids.resize(size_t(routing.layers) * size_t(routing.tokens) * size_t(routing.top_k));
  routing.first_token.push_back(0);

  const int64_t judged = judged_tokens(source);
  auto place = places.begin();
  int64_t next = 0;
  for (const auto& requests : batch.ranks) {
    const int64_t first = next;
    for (const Request& request : requests) {
      for (int64_t t = 0; t < request.new_tokens && !source.drifting; ++t)
        copy_choices(source, source.train_tokens + (*place + t) % judged, next + t, routing);
      next += request.new_tokens;
      ++place;
    }
    for (int32_t rank = 1; rank <= layout.tp; ++rank)  // the tensor-parallel ranks hold equal shares
      routing.first_token.push_back(first + (next - first) * rank / layout.tp);
  }
  CHECK(next == routing.tokens);
  CHECK(routing.first_token.size() == size_t(layout.gpus) + 1);
  if (source.drifting) draw_step(source, step, routing);
  return routing;
}

StepRouting route_step(const RoutingSource& source, const Batch& batch, const Layout& layout, int64_t step) {
  return route_requests(source, batch, layout, places_of(source, batch, step), step);
}

StepTokens tokens_of_requests(const RoutingSource& source, const Batch& batch, const std::vector<int64_t>& places) {
  StepTokens tokens;
  if (source.drifting) return tokens;
  const RoutingTrace& trace = trace_of(source);
  const int64_t judged = judged_tokens(source);
  auto place = places.begin();
  for (const auto& requests : batch.ranks)
    for (const Request& request : requests) {
      for (int64_t t = 0; t < request.new_tokens; ++t) {
        const size_t token = size_t(source.train_tokens + (*place + t) % judged);
        if (!trace.token.empty()) tokens.token.push_back(trace.token[token]);
        if (!trace.domain.empty()) tokens.domain.push_back(trace.domain[token]);
      }
      ++place;
    }
  return tokens;
}

PastTokens past_tokens(const RoutingSource& source) {
  PastTokens past;
  if (source.drifting) return past;
  const RoutingTrace& trace = trace_of(source);
  past.tokens = source.train_tokens;
  past.top_k = source.top_k;
  past.recorded_layers = int32_t(trace.layers);
  past.recorded_top_k = int32_t(trace.top_k);
  past.ids = std::span(trace.ids).first(size_t(past.tokens * trace.layers * trace.top_k));
  const auto known = [&](const std::vector<int32_t>& column) {
    return column.empty() ? std::span<const int32_t>{} : std::span(column).first(size_t(past.tokens));
  };
  past.token = known(trace.token);
  past.request = known(trace.request);
  past.domain = known(trace.domain);
  return past;
}

std::vector<std::string> routing_notes(const RoutingSource& source, const Batch& batch, int64_t steps) {
  std::vector<std::string> notes = trace_of(source).notes;
  const RoutingTrace& trace = trace_of(source);
  if (source.layers > trace.layers)
    notes.push_back(
        fmt::format("the model has {} MoE layers, the trace {}: its layers are repeated", source.layers, trace.layers));
  if (source.layers < trace.layers)
    notes.push_back(
        fmt::format("the model has {} MoE layers, the trace {}: only the first are used", source.layers, trace.layers));
  if (source.top_k < trace.top_k)
    notes.push_back(fmt::format("the model chooses {} experts, the trace {}: those of lowest gate weight are cut",
                                source.top_k, trace.top_k));
  const int64_t needed = new_tokens(batch) * steps;
  if (needed > judged_tokens(source))
    notes.push_back(fmt::format("{} tokens are judged but the trace has {} for that: some are used more than once",
                                needed, judged_tokens(source)));
  return notes;
}

}  // namespace moesim
