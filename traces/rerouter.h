// Chooses experts anew from a trace's scores, batch by batch, and counts what became of every choice.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "traces/rerouting.h"
#include "traces/routing_trace.h"
#include "traces/score_fill.h"

namespace moesim {

// A row is one token in one layer. selected = computed + zero + copied + constant + dropped.
struct RerouteCounts {
  int64_t tokens = 0;
  int64_t rows = 0;
  int64_t selected = 0;
  int64_t computed = 0;    // by a routed expert
  int64_t zero = 0;
  int64_t copied = 0;
  int64_t constant = 0;
  int64_t dropped = 0;     // for want of room
  int64_t shared = 0;      // rows that shared experts compute besides
  int64_t baseline = 0;    // rows of experts that the baseline computes
  int64_t unrouted = 0;    // rows that reach no routed expert
  int64_t lost = 0;        // of these, rows all of whose choices were dropped
  int64_t undecided = 0;   // rows whose recorded scores do not reach top_p's sum
  int64_t experts_max = 0;  // that compute for one row
  int64_t experts_min = kTraceTopKMax;
  double imbalance = 0;    // mean over layers and batches of (fullest - emptiest group) / tokens
  double hottest = 0;      // of the layers' hottest experts over the mean, the mean
};

// Share of the baseline's expert rows that need no work.
double saved_work(const RerouteCounts& counts);

class Rerouter {
 public:
  // about: the arrays are not read. check_rerouting must find nothing wrong.
  Rerouter(const Rerouting& options, const RoutingTrace& about, uint64_t seed);

  // What must be learned of the trace before it is routed, in this order; each over all its blocks.
  bool needs_load() const;
  void learn_load(const RoutingTrace& block);
  bool needs_thresholds() const;
  void learn_thresholds(const RoutingTrace& block, int64_t first_token);
  void finish_thresholds();

  // The most choices of a row that the options allow; rows of top_p and expert_choice are mostly shorter.
  int64_t width() const { return width_; }
  int64_t experts() const { return experts_ - options_.shared_experts; }

  // The tokens, which are routed together, with rows of `width` choices, the highest score first. With a gate where
  // the batch has one. The choices of a token depend on its number, not on how batches are cut, but for what
  // batches decide: capacity and expert choice.
  RoutingTrace route(const RoutingTrace& batch, int64_t first_token, int64_t width);

  RerouteCounts counts() const;

 private:
  struct Row {
    std::span<ScoredExpert> picked;  // of fixed size; the first `kept` count
    int64_t kept = 0;
    int64_t idle = 0;
    int64_t dropped = 0;
  };
  void candidates(const RoutingTrace& batch, int64_t token, int64_t layer, Rng& rng);
  void renumber_without_shared(int64_t layer);
  size_t select(int64_t layer, Row& row);
  void route_layer(const RoutingTrace& batch, int64_t first_token, int64_t layer);
  void choose_by_experts(const RoutingTrace& batch, int64_t first_token, int64_t layer);
  void drop_beyond_capacity();
  void count_layer(int64_t layer);
  void count_idle(int64_t idle, Rng& rng);
  void write_layer(int64_t layer, RoutingTrace& out) const;
  int64_t ranks_below_all_idle() const;

  Rerouting options_;
  int64_t experts_;
  int64_t layers_;
  int64_t top_k_;
  int64_t width_;
  uint64_t seed_;
  std::vector<std::vector<int64_t>> load_;      // learned: [layer][expert]
  std::vector<std::vector<uint16_t>> shared_;   // [layer], sorted
  std::vector<std::vector<float>> ranked_;      // [layer]: scores among which the threshold lies
  std::vector<int64_t> ranked_rows_;            // [layer]
  std::vector<float> thresholds_;               // [layer]: experts with more compute
  std::optional<ScoreFill> fill_;
  GroupScratch groups_;
  std::vector<ScoredExpert> sorted_;            // candidates of the row in hand
  std::vector<ScoredExpert> picked_;            // of the layer in hand, width_ a row
  std::vector<Row> rows_;                       // of the layer in hand
  std::vector<std::vector<int64_t>> new_load_;  // [layer][expert]
  double imbalance_sum_ = 0;
  int64_t imbalances_ = 0;
  RerouteCounts counts_;
};

}  // namespace moesim
