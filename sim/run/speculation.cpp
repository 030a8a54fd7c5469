#include "sim/run/speculation.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "sim/run/cluster.h"
#include "sim/run/memory_plan.h"
#include "sim/run/names.h"

namespace moesim {
namespace {

std::optional<ShuffleUnit> unit_of(const PolicyChoice<ShufflePolicy>& policy) {
  return Registry<ShufflePolicy>::instance().find(policy.name())->traits.unit;
}

bool regroups(const SpeculationConfig& config) { return config.window > 1 && config.batching.name() != "in_order"; }

// [expert rank of the group * attention ranks + attention rank] the part of the rank's tokens that this GPU holds.
std::vector<float> part_held(const Layout& layout) {
  const size_t ranks = size_t(layout.attention_ranks());
  std::vector<float> part(size_t(layout.ep) * ranks, 0);
  for (int32_t gpu = 0; gpu < layout.gpus; ++gpu) {
    const size_t expert_rank = size_t(layout.expert_rank(GpuId(gpu)));
    part[expert_rank * ranks + size_t(layout.attention_rank(GpuId(gpu)))] += 1.0F / float(layout.tp);
  }
  return part;
}

double token_max_over_mean(const std::vector<int64_t>& first) {
  int64_t most = 0;
  for (size_t gpu = 0; gpu + 1 < first.size(); ++gpu) most = std::max(most, first[gpu + 1] - first[gpu]);
  return first.back() == 0 ? 1 : double(most) * double(first.size() - 1) / double(first.back());
}

}  // namespace

Speculation::Speculation(const LoadedScenario& loaded, const Layout& layout, const RoutingSource& source,
                         const Batch& batch)
    : loaded_(loaded),
      config_(loaded.scenario.speculation ? &*loaded.scenario.speculation : nullptr),
      layout_(layout),
      source_(source),
      rng_(Rng::stream(loaded.scenario.seed, "speculation")) {
  const int32_t window = config_ == nullptr ? 1 : config_->window;
  for (int32_t step = 0; step < window; ++step) {
    StepBatch& of = batches_.emplace_back(StepBatch{batch, {}});
    for (const auto& requests : batch.ranks)
      for (size_t request = 0; request < requests.size(); ++request) of.sequence.push_back(sequences_++);
  }
  if (config_ == nullptr) return;
  shuffles_requests_ = unit_of(config_->shuffle) == ShuffleUnit::requests;
  shuffles_tokens_ = unit_of(config_->shuffle) == ShuffleUnit::tokens;
  regroups_ = regroups(*config_);
  const size_t layers = size_t(source.layers);
  sums_.scores.resize(layers);
  for (auto* sums : {&sums_.local, &sums_.assignments, &sums_.active_experts}) sums->resize(layers, 0);
}

void Speculation::learn(const Placement& placement) {
  if (!shuffles_requests_ && !shuffles_tokens_ && !regroups_) return;
  const PastTokens past = past_tokens(source_);
  const PredictionInput in{past, placement, source_.layers, loaded_.model.experts, layout_.ep};
  predictor_ = config_->prediction.decide(in, rng_);
}

std::vector<int64_t> Speculation::places(const StepBatch& of, int64_t turn) const {
  std::vector<int64_t> places;
  for (const auto& requests : of.batch.ranks)
    for (const Request& request : requests)
      places.push_back(place_of(source_, of.sequence[places.size()], sequences_, turn, request.new_tokens));
  return places;
}

// Before any layer has been routed.
void Speculation::predict_requests(const StepBatch& of, const Visit& visit) {
  const std::vector<int64_t> from = places(of, 0);
  const StepRouting routing = route_requests(source_, of.batch, layout_, from, 0);
  const StepTokens tokens = tokens_of_requests(source_, of.batch, from);
  std::vector<float> expected(size_t(predictor_.experts));
  size_t request = 0;
  int64_t token = 0;
  for (const auto& requests : of.batch.ranks)
    for (const Request& length : requests) {
      for (const int64_t end = token + length.new_tokens; token < end; ++token)
        for (int32_t layer = 0; layer < source_.layers; ++layer) {
          predict_experts(predictor_, tokens, routing, token, layer, 0, expected);
          judge(layer, expected, routing.choices(layer, token));
          visit(request, layer, expected);
        }
      ++request;
    }
}

void Speculation::choose_batches() {
  const size_t experts = size_t(predictor_.experts);
  const size_t layers = size_t(source_.layers);
  const std::function<std::vector<float>()> expected = [&] {
    std::vector<float> sums(size_t(sequences_) * layers * experts, 0);
    size_t first = 0;
    for (const StepBatch& of : batches_) {
      const float each = 1.0F / float(of.batch.ranks[0][0].new_tokens);
      predict_requests(of, [&](size_t request, int32_t layer, std::span<const float> predicted) {
        float* const to = sums.data() + ((first + request) * layers + size_t(layer)) * experts;
        for (size_t expert = 0; expert < experts; ++expert) to[expert] += each * predicted[expert];
      });
      first += of.sequence.size();
    }
    return sums;
  };
  const BatchingInput in{sequences_, config_->window, source_.layers, predictor_.experts, expected};
  const std::vector<int32_t> batch_of = config_->batching.decide(in, rng_);
  check_batches(batch_of, in);
  for (StepBatch& of : batches_) of.sequence.clear();
  for (int64_t sequence = 0; sequence < sequences_; ++sequence)
    batches_[size_t(batch_of[size_t(sequence)])].sequence.push_back(sequence);
}

void Speculation::choose_ranks(StepBatch& of) {
  const size_t ranks = size_t(layout_.attention_ranks());
  std::vector<int64_t> weight;
  std::vector<int32_t> home;
  std::vector<Request> all;
  for (size_t rank = 0; rank < ranks; ++rank)
    for (const Request& request : of.batch.ranks[rank]) {
      weight.push_back(request.new_tokens);
      home.push_back(int32_t(rank));
      all.push_back(request);
    }
  const std::vector<float> part = part_held(layout_);
  std::vector<float> score(all.size() * ranks, 0);
  predict_requests(of, [&](size_t request, int32_t layer, std::span<const float> expected) {
    const std::vector<int32_t>& gpu_of = predictor_.gpu_of[size_t(layer)];
    for (size_t expert = 0; expert < expected.size(); ++expert)
      for (size_t rank = 0; rank < ranks; ++rank)
        score[request * ranks + rank] += expected[expert] * part[size_t(gpu_of[expert]) * ranks + rank];
  });
  const std::vector<int32_t> rank_of = config_->shuffle.decide({int32_t(ranks), weight, home, score}, rng_);
  CHECK(rank_of.size() == all.size());
  StepBatch moved;
  moved.batch.ranks.resize(ranks);
  for (size_t rank = 0; rank < ranks; ++rank)
    for (size_t request = 0; request < all.size(); ++request) {
      if (size_t(rank_of[request]) != rank) continue;
      moved.batch.ranks[rank].push_back(all[request]);
      moved.sequence.push_back(of.sequence[request]);
    }
  CHECK(moved.sequence.size() == of.sequence.size());
  of = std::move(moved);
  plan_memory(loaded_, layout_, of.batch);
}

// Tokens of one layer to the GPUs of their tensor-parallel group. What is known is the routing of the layers before, as
// it was before any shuffle.
void Speculation::shuffle_layer(int32_t layer, const StepTokens& tokens, const StepRouting& plain,
                                SpeculatedStep& step) {
  const size_t ep = size_t(layout_.ep);
  const size_t tp = size_t(layout_.tp);
  const std::vector<int32_t>& gpu_of = predictor_.gpu_of[size_t(layer)];
  std::vector<float> on_gpu(size_t(plain.tokens) * ep, 0);
  std::vector<float> expected(size_t(predictor_.experts));
  for (int64_t token = 0; token < plain.tokens; ++token) {
    predict_experts(predictor_, tokens, plain, token, layer, layer, expected);
    judge(layer, expected, plain.choices(layer, token));
    for (size_t expert = 0; expert < expected.size(); ++expert)
      on_gpu[size_t(token) * ep + size_t(gpu_of[expert])] += expected[expert];
  }
  std::vector<int64_t> first{0};
  std::vector<int64_t> order;
  for (int32_t rank = 0; rank < layout_.attention_ranks(); ++rank) {
    const size_t first_gpu = size_t(rank) * tp;
    const int64_t begin = plain.first_token[first_gpu];
    const int64_t end = plain.first_token[first_gpu + tp];
    std::vector<int32_t> home;
    for (size_t gpu = 0; gpu < tp; ++gpu)
      home.resize(size_t(plain.first_token[first_gpu + gpu + 1] - begin), int32_t(gpu));
    const std::vector<int64_t> weight(home.size(), 1);
    std::vector<float> score;
    for (int64_t token = begin; token < end; ++token)
      for (size_t gpu = 0; gpu < tp; ++gpu)
        score.push_back(on_gpu[size_t(token) * ep + size_t(layout_.expert_rank(GpuId(first_gpu + gpu)))]);
    const std::vector<int32_t> gpu_of_token = config_->shuffle.decide({layout_.tp, weight, home, score}, rng_);
    CHECK(gpu_of_token.size() == home.size());
    for (size_t gpu = 0; gpu < tp; ++gpu) {
      for (int64_t token = begin; token < end; ++token)
        if (size_t(gpu_of_token[size_t(token - begin)]) == gpu) order.push_back(token);
      first.push_back(int64_t(order.size()));
    }
  }
  CHECK(int64_t(order.size()) == plain.tokens);
  for (int64_t slot = 0; slot < plain.tokens; ++slot) {
    const auto from = plain.choices(layer, order[size_t(slot)]);
    std::copy(from.begin(), from.end(),
              step.routing.ids.begin() + (int64_t{layer} * plain.tokens + slot) * plain.top_k);
  }
  step.routing.first_in_layer.push_back(std::move(first));
  step.order.push_back(std::move(order));
}

SpeculatedStep Speculation::step(int64_t number) {
  if (!decided_ && regroups_) choose_batches();
  if (!decided_ && shuffles_requests_)
    for (StepBatch& of : batches_) choose_ranks(of);
  decided_ = true;
  const int64_t window = int64_t(batches_.size());
  const StepBatch& of = batches_[size_t(number % window)];
  const std::vector<int64_t> from = places(of, number / window);
  SpeculatedStep step{of.batch, route_requests(source_, of.batch, layout_, from, number)};
  if (!shuffles_tokens_) return step;
  const StepTokens tokens = tokens_of_requests(source_, of.batch, from);
  const StepRouting plain = step.routing;
  for (int32_t layer = 0; layer < source_.layers; ++layer) shuffle_layer(layer, tokens, plain, step);
  return step;
}

void Speculation::judge(int32_t layer, std::span<const float> expected, std::span<const uint16_t> chosen) {
  const std::vector<int32_t>& gpu_of = predictor_.gpu_of[size_t(layer)];
  likeliest_.resize(expected.size());
  std::iota(likeliest_.begin(), likeliest_.end(), uint16_t{0});
  const auto top = likeliest_.begin() + int64_t(chosen.size());
  std::partial_sort(likeliest_.begin(), top, likeliest_.end(), [&](uint16_t a, uint16_t b) {
    return expected[a] > expected[b] || (expected[a] == expected[b] && a < b);
  });
  predicted_.assign(size_t(layout_.ep), 0);
  actual_.assign(size_t(layout_.ep), 0);
  for (size_t expert = 0; expert < expected.size(); ++expert) predicted_[size_t(gpu_of[expert])] += expected[expert];
  int32_t right = 0;
  int32_t real = 0;
  for (const uint16_t expert : chosen) {
    if (expert == kNoExpert) continue;
    ++actual_[size_t(gpu_of[expert])];
    ++real;
    right += std::find(likeliest_.begin(), top, expert) != top;
  }
  if (real == 0) return;
  const size_t gpu = size_t(std::max_element(predicted_.begin(), predicted_.end()) - predicted_.begin());
  PredictionScore& score = sums_.scores[size_t(layer)];
  ++score.tokens;
  score.experts += double(right) / real;
  score.gpus += actual_[gpu] == *std::max_element(actual_.begin(), actual_.end());
}

ShuffleCosts Speculation::costs() const {
  ShuffleCosts costs;
  if (!shuffles_tokens_) return costs;
  costs.overhead = config_->overhead.fraction;
  for (int32_t layer = 0; layer < source_.layers; ++layer)
    costs.lookups.push_back(lookup_bytes(predictor_, layer, source_.top_k) / 2);
  return costs;
}

void Speculation::add_step(const StepGraph& graph, const StepRouting& routing) {
  if (config_ == nullptr) return;
  ++sums_.steps;
  for (size_t layer = 0; layer < graph.traffic.size(); ++layer) {
    const LayerTraffic& traffic = graph.traffic[layer];
    sums_.local[layer] += traffic.local;
    sums_.assignments[layer] += traffic.assignments;
    for (const std::vector<int64_t>& rows : traffic.rows)
      sums_.active_experts[layer] += std::count_if(rows.begin(), rows.end(), [](int64_t row) { return row > 0; });
    sums_.token_max_over_mean = std::max(sums_.token_max_over_mean, token_max_over_mean(routing.first(int32_t(layer))));
  }
}

std::optional<SpeculationResult> Speculation::result() const {
  if (config_ == nullptr || sums_.steps == 0) return std::nullopt;
  SpeculationResult result;
  result.shuffle = config_->shuffle.name();
  result.prediction = config_->prediction.name();
  result.batching = config_->batching.name();
  result.token_max_over_mean = sums_.token_max_over_mean;
  result.table_bytes = table_bytes(predictor_);
  size_t moe_layer = 0;
  for (int32_t layer = 0; layer < loaded_.model.layers; ++layer) {
    if (!is_moe_layer(loaded_.model, layer)) continue;
    SpeculatedLayerResult& of = result.layers.emplace_back();
    const PredictionScore& score = sums_.scores[moe_layer];
    of.layer = layer;
    if (sums_.assignments[moe_layer] > 0)
      of.local_activation_rate = double(sums_.local[moe_layer]) / double(sums_.assignments[moe_layer]);
    of.active_experts = double(sums_.active_experts[moe_layer]) / double(sums_.steps);
    ++moe_layer;
    const double layers = double(source_.layers);
    result.local_activation_rate += of.local_activation_rate / layers;
    result.active_experts += of.active_experts / layers;
    if (score.tokens == 0) continue;
    of.expert_accuracy = score.experts / double(score.tokens);
    of.gpu_accuracy = double(score.gpus) / double(score.tokens);
    result.expert_accuracy = result.expert_accuracy.value_or(0) + *of.expert_accuracy / layers;
    result.gpu_accuracy = result.gpu_accuracy.value_or(0) + *of.gpu_accuracy / layers;
  }
  result.unshuffled_local_activation_rate = result.local_activation_rate;
  return result;
}

void check_coherence(const LoadedScenario& loaded, const Layout& layout) {
  if (!loaded.scenario.parallelism.context_coherent) return;
  const auto refuse = [&](const char* path, const char* message) {
    throw ConfigError(loaded.source, {fault_at(loaded.root, path, message)});
  };
  if (layout.tp > 1)
    refuse("/parallelism/context_coherent", "needs attention without tensor parallelism, /parallelism/tp 1");
  for (const RequestConfig& request : loaded.scenario.batch)
    if (request.new_tokens > 1) refuse("/parallelism/context_coherent", "is of decode: one new token a request");
}

void check_speculation(const LoadedScenario& loaded, const Layout& layout) {
  check_coherence(loaded, layout);
  if (!loaded.scenario.speculation) return;
  const Scenario& scenario = loaded.scenario;
  const SpeculationConfig& config = *scenario.speculation;
  std::vector<Fault> faults;
  const auto fault = [&](const char* path, const std::string& message) {
    faults.push_back(fault_at(loaded.root, path, message));
  };
  const bool drifts = loaded.trace == nullptr && is_drifting(scenario.routing.synthetic.popularity);
  if (drifts) fault("/speculation", "needs routing that does not drift, or a trace");
  if (unit_of(config.shuffle) == ShuffleUnit::tokens && layout.tp == 1)
    fault("/speculation/shuffle", "tokens are shuffled within tensor-parallel groups, but /parallelism/tp is 1");
  if (unit_of(config.shuffle) == ShuffleUnit::requests && layout.attention_ranks() == 1)
    fault("/speculation/shuffle",
          "requests are shuffled between attention ranks, but there is one: "
          "/parallelism/tp is the number of GPUs");
  if (scenario.steps % config.window != 0)
    fault("/speculation/window", fmt::format("{} must divide the {} steps", config.window, scenario.steps));
  const auto is_like_first = [&](const RequestConfig& request) {
    return request.new_tokens == scenario.batch[0].new_tokens && request.context == scenario.batch[0].context;
  };
  if (regroups(config) && !std::all_of(scenario.batch.begin(), scenario.batch.end(), is_like_first))
    fault("/speculation/batching", "needs requests of one length");
  if (!faults.empty()) throw ConfigError(loaded.source, std::move(faults));
}

std::optional<LoadedScenario> without_speculation(const LoadedScenario& loaded) {
  if (!loaded.scenario.speculation) return std::nullopt;
  const SpeculationConfig& config = *loaded.scenario.speculation;
  if (config.shuffle.name() == "none" && !regroups(config)) return std::nullopt;
  LoadedScenario plain = loaded;
  plain.scenario.speculation->shuffle = PolicyChoice<ShufflePolicy>{"none"};
  plain.scenario.speculation->batching = PolicyChoice<BatchingPolicy>{"in_order"};
  return plain;
}

}  // namespace moesim
