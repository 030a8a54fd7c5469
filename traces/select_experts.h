// One token's choice among the experts of a layer by their scores.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

struct ScoredExpert {
  float score = 0;
  uint16_t expert = 0;
};

// By falling score; equal ones by expert, so that the order depends on the scores alone.
inline bool scores_higher(const ScoredExpert& a, const ScoredExpert& b) {
  return a.score != b.score ? a.score > b.score : a.expert < b.expert;
}

// What choices by groups need while they run, kept from one to the next.
struct GroupScratch {
  std::vector<int64_t> taken;
  std::vector<double> sums;
  std::vector<size_t> best;
};

// All of them take experts by falling score, and return how many they moved to the front, in the same order.

// As few as their scores together exceed p times `whole`; all where those do not reach it.
size_t select_top_p(std::span<const ScoredExpert> sorted, double p, double whole);

// top_k / groups in each group; both divide evenly.
size_t select_grouped(std::span<ScoredExpert> sorted, int64_t top_k, int64_t groups, int64_t experts,
                      GroupScratch& scratch);

// top_k in the top_groups groups whose best experts have the highest sums; equal sums by the group's number.
size_t select_group_limited(std::span<ScoredExpert> sorted, int64_t top_k, int64_t groups, int64_t top_groups,
                            int64_t group_best, int64_t experts, GroupScratch& scratch);

// Each expert takes its `taken` best tokens. scores: [token * experts + expert]; chosen: as scores, 1 where taken.
// Equal scores go to the earlier token.
void select_by_experts(std::span<const float> scores, int64_t experts, int64_t taken, std::vector<uint8_t>& chosen);

}  // namespace moesim
