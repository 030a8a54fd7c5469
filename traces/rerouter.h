// Chooses experts anew from a trace's scores, batch by batch, and counts what became of every choice.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "traces/rerouting.h"
#include "traces/routing_trace.h"
#include "traces/score_fill.h"

namespace moesim {

// A row is one token in one layer. selected = computed + zero + copied + constant + dropped.
struct RerouteCounts {
  std::string routing;
  int64_t tokens = 0;
  int64_t rows = 0;
  int64_t selected = 0;
  int64_t computed = 0;
  int64_t zero = 0;
  int64_t copied = 0;
  int64_t constant = 0;
  int64_t dropped = 0;
  int64_t shared = 0;
  int64_t unrouted_rows = 0;
  int64_t lost_rows = 0;
  int64_t undecided_rows = 0;
  int64_t experts_per_row_min = kTraceTopKMax;
  int64_t experts_per_row_max = 0;
  int64_t baseline = 0;
  double saved_work = 0;
  double hottest_over_mean = 0;
  std::optional<double> group_imbalance;
};

template <class Visitor>
void fields(Visitor& v, RerouteCounts& s) {
  const auto count = at_least(int64_t{0});
  v.required("routing", s.routing, "what was done");
  v.required("tokens", s.tokens, count, "tokens routed");
  v.required("rows", s.rows, count, "tokens times layers");
  v.required("selected", s.selected, count, "choices: the sum of the five that follow");
  v.required("computed", s.computed, count, "by routed experts");
  v.required("zero", s.zero, count, "given to zero experts");
  v.required("copied", s.copied, count, "given to copy experts");
  v.required("constant", s.constant, count, "given to constant experts");
  v.required("dropped", s.dropped, count, "dropped for want of room");
  v.required("shared", s.shared, count, "rows that shared experts compute besides");
  v.required("unrouted_rows", s.unrouted_rows, count, "rows that reach no routed expert");
  v.required("lost_rows", s.lost_rows, count, "of these, rows all of whose choices were dropped");
  v.required("undecided_rows", s.undecided_rows, count, "rows whose recorded scores do not exceed p");
  v.required("experts_per_row_min", s.experts_per_row_min, count, "fewest routed experts that compute a row");
  v.required("experts_per_row_max", s.experts_per_row_max, count, "most");
  v.required("baseline", s.baseline, count, "rows that experts compute in the baseline");
  v.required("saved_work", s.saved_work, between(-65536.0, 1.0), "1 - (computed + shared) / baseline");
  v.required("hottest_over_mean", s.hottest_over_mean, at_least(0.0),
             "load of a layer's hottest expert over the mean, mean over layers");
  v.optional(
      "group_imbalance", s.group_imbalance, at_least(0.0),
      "choices of the fullest group of experts less those of the emptiest, over the tokens of a batch, mean over "
      "batches and layers; absent where the groups do not divide the experts");
}

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
  size_t select(int64_t layer, Row& row, Rng& rng);
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
  std::vector<std::vector<int64_t>> load_;     // learned: [layer][expert]
  std::vector<std::vector<uint16_t>> shared_;  // [layer], sorted
  std::vector<std::vector<float>> ranked_;     // [layer]: scores among which the threshold lies
  std::vector<int64_t> ranked_rows_;           // [layer]
  std::vector<float> thresholds_;              // [layer]: experts with more compute
  std::vector<double> tie_shares_;             // [layer]: and so many of those with just as much
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
