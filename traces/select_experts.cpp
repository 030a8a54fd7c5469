#include "traces/select_experts.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {

size_t select_top_p(std::span<const ScoredExpert> sorted, double p, double whole) {
  double sum = 0;
  for (size_t taken = 0; taken < sorted.size(); ++taken) {
    sum += double(sorted[taken].score);
    if (sum > p * whole) return taken + 1;
  }
  return sorted.size();
}

size_t select_grouped(std::span<ScoredExpert> sorted, int64_t top_k, int64_t groups, int64_t experts,
                      GroupScratch& scratch) {
  CHECK(top_k % groups == 0 && experts % groups == 0);
  const int64_t in_group = experts / groups;
  scratch.taken.assign(size_t(groups), 0);
  size_t kept = 0;
  for (const ScoredExpert& candidate : sorted) {
    if (scratch.taken[size_t(candidate.expert / in_group)]++ >= top_k / groups) continue;
    sorted[kept++] = candidate;
  }
  return kept;
}

size_t select_group_limited(std::span<ScoredExpert> sorted, int64_t top_k, int64_t groups, int64_t top_groups,
                            int64_t group_best, int64_t experts, GroupScratch& scratch) {
  CHECK(experts % groups == 0 && top_groups <= groups);
  const int64_t in_group = experts / groups;
  scratch.taken.assign(size_t(groups), 0);
  scratch.sums.assign(size_t(groups), 0);
  scratch.best.resize(size_t(groups));
  for (const ScoredExpert& candidate : sorted) {
    const auto group = size_t(candidate.expert / in_group);
    if (scratch.taken[group]++ < group_best) scratch.sums[group] += double(candidate.score);
  }
  std::iota(scratch.best.begin(), scratch.best.end(), size_t{0});
  std::sort(scratch.best.begin(), scratch.best.end(), [&](size_t a, size_t b) {
    return scratch.sums[a] != scratch.sums[b] ? scratch.sums[a] > scratch.sums[b] : a < b;
  });
  std::vector<int64_t>& open = scratch.taken;
  open.assign(size_t(groups), 0);
  for (int64_t i = 0; i < top_groups; ++i) open[scratch.best[size_t(i)]] = 1;

  size_t kept = 0;
  for (const ScoredExpert& candidate : sorted) {
    if (int64_t(kept) == top_k) break;
    if (open[size_t(candidate.expert / in_group)] != 0) sorted[kept++] = candidate;
  }
  return kept;
}

void select_by_experts(std::span<const float> scores, int64_t experts, int64_t taken, std::vector<uint8_t>& chosen) {
  const int64_t tokens = int64_t(scores.size()) / experts;
  CHECK(taken <= tokens);
  chosen.assign(scores.size(), 0);
  std::vector<int64_t> order(static_cast<size_t>(tokens));
  for (int64_t expert = 0; expert < experts; ++expert) {
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto score = [&](int64_t token) { return scores[size_t(token * experts + expert)]; };
    std::nth_element(order.begin(), order.begin() + taken, order.end(),
                     [&](int64_t a, int64_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
    for (int64_t i = 0; i < taken; ++i) chosen[size_t(order[size_t(i)] * experts + expert)] = 1;
  }
}

}  // namespace moesim
