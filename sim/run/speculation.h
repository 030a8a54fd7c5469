// Shuffles and batches the requests of a run by predictions of their experts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "sim/moe/step_graph.h"
#include "sim/run/results.h"
#include "sim/run/routing_source.h"
#include "sim/run/scenario.h"

namespace moesim {

// A step as it is computed. order[MoE layer][slot] is the token, numbered as the batch lists them, that lies there
// where tokens were shuffled; empty where all lie in order.
struct SpeculatedStep {
  Batch batch;
  StepRouting routing;
  std::vector<std::vector<int64_t>> order{};
};

// How well a layer was predicted.
struct PredictionScore {
  int64_t tokens = 0;
  double experts = 0;  // sum over tokens of the part of their likeliest experts that they chose
  int64_t gpus = 0;    // tokens whose predicted GPU hosted as many of their experts as any
};

// Sums over steps, by MoE layer.
struct SpeculationSums {
  std::vector<PredictionScore> scores;
  std::vector<int64_t> local;
  std::vector<int64_t> assignments;
  std::vector<int64_t> active_experts;
  int64_t steps = 0;
  double token_max_over_mean = 0;
};

class Speculation {
 public:
  // All must outlive it. Without a section `speculation` steps are what route_step() makes of them.
  Speculation(const LoadedScenario& loaded, const Layout& layout, const RoutingSource& source, const Batch& batch);

  // Learns for a placement: before the first step, and again whenever it changes.
  void learn(const Placement& placement);

  // Which request is computed when and where is decided in the first one, as its KV cache stays there.
  SpeculatedStep step(int64_t step);

  ShuffleCosts costs() const;
  bool shuffles_tokens() const { return shuffles_tokens_; }

  void add_step(const StepGraph& graph, const StepRouting& routing);

  // All but what only a run without speculation can tell.
  std::optional<SpeculationResult> result() const;

 private:
  // The batch of one step of each window, and which sequence each of its requests is.
  struct StepBatch {
    Batch batch;
    std::vector<int64_t> sequence;
  };
  using Visit = std::function<void(size_t request, int32_t layer, std::span<const float> expected)>;

  std::vector<int64_t> places(const StepBatch& of, int64_t turn) const;
  void predict_requests(const StepBatch& of, const Visit& visit);
  void choose_batches();
  void choose_ranks(StepBatch& of);
  void shuffle_layer(int32_t layer, const StepTokens& tokens, const StepRouting& plain, SpeculatedStep& step);
  void judge(int32_t layer, std::span<const float> expected, std::span<const uint16_t> chosen);

  const LoadedScenario& loaded_;
  const SpeculationConfig* config_;  // none without the section
  Layout layout_;
  const RoutingSource& source_;
  std::vector<StepBatch> batches_;  // [step of a window]
  int64_t sequences_ = 0;
  bool decided_ = false;
  bool shuffles_requests_ = false;
  bool shuffles_tokens_ = false;
  bool regroups_ = false;
  ExpertPredictor predictor_;
  Rng rng_;
  SpeculationSums sums_;
  std::vector<uint16_t> likeliest_;  // what judge() works in
  std::vector<float> predicted_;
  std::vector<int32_t> actual_;
};

// Throws a ConfigError where the section asks for what cannot be.
void check_speculation(const LoadedScenario& loaded, const Layout& layout);

// The same scenario without shuffle and batching, to tell what they save; none where there is neither.
std::optional<LoadedScenario> without_speculation(const LoadedScenario& loaded);

}  // namespace moesim
