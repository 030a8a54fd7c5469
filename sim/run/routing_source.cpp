#include "sim/run/routing_source.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "sim/run/names.h"
#include "sim/run/rerouting_source.h"
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
    const int64_t place = (int64_t{layer} * step.tokens + step_token) * step.top_k;
    std::copy_n(from.begin(), step.top_k, step.ids.begin() + place);
    if (step.gate.empty()) continue;
    const auto weights = gate_weights(trace_of(source), trace_token, layer % trace_of(source).layers);
    std::copy_n(weights.begin(), step.top_k, step.gate.begin() + place);
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

// With more domains than this, and without any, the past is cut into runs.
constexpr size_t kPartsMax = 64;
constexpr size_t kRuns = 8;

// [part][layer][expert], where each training token is of a part.
std::vector<std::vector<std::vector<int64_t>>> loads_of_parts(const RoutingSource& source,
                                                              const std::vector<int32_t>& part_of, size_t parts) {
  const RoutingTrace& trace = trace_of(source);
  std::vector<std::vector<std::vector<int64_t>>> load(
      parts, std::vector<std::vector<int64_t>>(size_t(source.layers), std::vector<int64_t>(size_t(trace.experts), 0)));
  for (int64_t token = 0; token < source.train_tokens; ++token) {
    std::vector<std::vector<int64_t>>& part = load[size_t(part_of[size_t(token)])];
    for (int32_t layer = 0; layer < source.layers; ++layer)
      for (const uint16_t expert : choices(trace, token, layer % trace.layers).first(size_t(source.top_k)))
        if (expert != kNoExpert) ++part[size_t(layer)][expert];
  }
  return load;
}

// Enough drawn tokens that each is judged once in the first steps; further steps use them again.
constexpr int64_t kDrawnChoicesMax = int64_t{1} << 27;

RoutingShape shape_of(const LoadedScenario& loaded) {
  const LlmSpec& llm = loaded.model;
  return {moe_layers(llm), llm.experts + llm.zero_experts, llm.top_k};
}

int64_t trained_tokens(const LoadedScenario& loaded, int64_t tokens) {
  return std::min(tokens - 1, int64_t(double(tokens) * loaded.scenario.routing.train_fraction));
}

// choices: of a row, as they are held while they are drawn.
int64_t drawn_tokens(const LoadedScenario& loaded, int64_t row_choices, const Batch& batch) {
  const Scenario& scenario = loaded.scenario;
  const double judged_part = 1 - scenario.routing.train_fraction;
  const int64_t tokens_max = kDrawnChoicesMax / std::max(int64_t{1}, row_choices);
  const double wanted = double(new_tokens(batch)) * scenario.steps / judged_part + 1;
  const int64_t one_step = int64_t(double(new_tokens(batch)) / judged_part) + 1;
  return std::max(one_step, int64_t(std::min(wanted, double(tokens_max))));
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

std::string drawn_note(const SyntheticRouting& synthetic) {
  return fmt::format("routing is drawn ({}), not recorded", name_of(synthetic.popularity));
}

void draw(const LoadedScenario& loaded, const Layout& layout, const Batch& batch, RoutingSource& source) {
  const SyntheticRouting& synthetic = loaded.scenario.routing.synthetic;
  if (is_drifting(synthetic.popularity)) {
    source.drifting.emplace(synthetic, shape_of(loaded), loaded.model.experts, layout.ep, loaded.scenario.seed);
    source.drifting_tokens = new_tokens(batch) * loaded.scenario.steps;
    source.drawn = trace_before_drift(loaded, *source.drifting, new_tokens(batch));
  } else {
    const int64_t tokens = drawn_tokens(loaded, int64_t{source.layers} * source.top_k, batch);
    const int64_t trained = trained_tokens(loaded, tokens);
    const std::array<SyntheticPart, 2> parts = {{{0, trained, 0}, {trained, tokens - trained, 1}}};
    source.drawn = synthetic_trace(synthetic, shape_of(loaded), loaded.scenario.seed, parts);
  }
  source.drawn.experts = loaded.model.experts;
  drop_zero_experts(source.drawn.ids, loaded.model.experts);
  source.drawn.notes.push_back(drawn_note(synthetic));
}

// Experts chosen anew from the scores of the trace, or from drawn ones.
void reroute(const LoadedScenario& loaded, const Batch& batch, RoutingSource& source) {
  const int64_t row_choices = int64_t{source.layers} * loaded.model.experts;
  const int64_t tokens = loaded.trace == nullptr ? drawn_tokens(loaded, row_choices, batch) : 0;
  source.rerouting.emplace();
  source.drawn = rerouted_trace(loaded, tokens, *source.rerouting);
  source.recorded = nullptr;
  source.top_k = int32_t(source.drawn.top_k);
  if (loaded.trace == nullptr) source.drawn.notes.push_back(drawn_note(loaded.scenario.routing.synthetic));
  source.drawn.notes.push_back(source.rerouting->routing);
}

}  // namespace

RoutingSource routing_of(const LoadedScenario& loaded, const Layout& layout, const Batch& batch) {
  RoutingSource source;
  source.layers = moe_layers(loaded.model);
  source.top_k = loaded.model.top_k;
  source.recorded = loaded.trace;
  if (loaded.scenario.routing.reroute)
    reroute(loaded, batch, source);
  else if (loaded.trace == nullptr)
    draw(loaded, layout, batch, source);
  const int64_t tokens = trace_of(source).tokens;
  source.train_tokens = source.drifting ? tokens : trained_tokens(loaded, tokens);
  return source;
}

std::vector<std::vector<int64_t>> past_load(const RoutingSource& source) {
  const std::vector<int32_t> one_part(size_t(source.train_tokens), 0);
  return loads_of_parts(source, one_part, 1)[0];
}

std::vector<std::vector<std::vector<int64_t>>> past_load_of_parts(const RoutingSource& source) {
  const std::vector<int32_t>& domain = trace_of(source).domain;
  const size_t tokens = size_t(source.train_tokens);
  std::vector<int32_t> known;
  if (!domain.empty()) known.assign(domain.begin(), domain.begin() + ptrdiff_t(tokens));
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::vector<int32_t> part_of(tokens, 0);
  if (known.empty() || known.size() > kPartsMax) {
    for (size_t token = 0; token < tokens; ++token) part_of[token] = int32_t(token * kRuns / tokens);
    return loads_of_parts(source, part_of, kRuns);
  }
  for (size_t token = 0; token < tokens; ++token)
    part_of[token] = int32_t(std::lower_bound(known.begin(), known.end(), domain[token]) - known.begin());
  return loads_of_parts(source, part_of, known.size());
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
  if (source.with_gate && !trace_of(source).gate.empty()) routing.gate.resize(routing.ids.size());
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

std::vector<int64_t> wider_choices_of(const RoutingSource& source, const Batch& batch,
                                      const std::vector<int64_t>& places) {
  std::vector<int64_t> tokens;
  const RoutingTrace& trace = trace_of(source);
  if (source.drifting || trace.gate.empty() || trace.top_k <= source.top_k) return tokens;
  const int64_t judged = judged_tokens(source);
  auto place = places.begin();
  for (const auto& requests : batch.ranks)
    for (const Request& request : requests) {
      for (int64_t t = 0; t < request.new_tokens; ++t) tokens.push_back(source.train_tokens + (*place + t) % judged);
      ++place;
    }
  return tokens;
}

void add_recorded_scores(const RoutingSource& source, int64_t trace_token, int32_t layer, std::span<float> scores) {
  const RoutingTrace& trace = trace_of(source);
  const auto chosen = choices(trace, trace_token, layer % trace.layers);
  const auto weights = gate_weights(trace, trace_token, layer % trace.layers);
  for (size_t choice = 0; choice < chosen.size(); ++choice)
    if (chosen[choice] != kNoExpert) scores[chosen[choice]] += weights[choice];
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
