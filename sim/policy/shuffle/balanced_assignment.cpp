#include "sim/policy/shuffle/balanced_assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr int32_t kExchangeRounds = 50;

// The assignment as a flow, with the items that a move between two ranks would cost least on top of a heap each. An
// item that has left its rank stays in the rank's heaps until it comes to their top. Scores are whole numbers, so that
// sums of losses are exact and no cycle of moves gains.
class RankFlow {
 public:
  explicit RankFlow(const BalancedProblem& problem)
      : problem_(problem),
        ranks_(size_t(problem.ranks)),
        heaps_(ranks_ * ranks_),
        load_(ranks_, 0),
        rank_(problem.weight.size()) {
    for (const float score : problem.score) score_.push_back(std::llround(double(score) * kScale));
    for (size_t item = 0; item < rank_.size(); ++item) {
      const auto scores = std::span(score_).subspan(item * ranks_, ranks_);
      put(item, int32_t(std::max_element(scores.begin(), scores.end()) - scores.begin()));
    }
  }

  std::vector<int32_t> solve() {
    const int64_t capacity =
        capacity_of(problem_) / std::max<int64_t>(1, problem_.weight.empty() ? 1 : problem_.weight[0]);
    while (true) {
      const auto fullest = std::max_element(load_.begin(), load_.end());
      if (*fullest <= capacity) return rank_;
      push(size_t(fullest - load_.begin()), capacity);
    }
  }

 private:
  struct Move {
    int64_t loss = 0;
    uint32_t item = 0;
    friend bool operator>(const Move& a, const Move& b) {
      return a.loss > b.loss || (a.loss == b.loss && a.item > b.item);
    }
  };
  using Heap = std::priority_queue<Move, std::vector<Move>, std::greater<>>;

  void put(size_t item, int32_t rank) {
    const int64_t* const scores = score_.data() + item * ranks_;
    rank_[item] = rank;
    ++load_[size_t(rank)];
    for (size_t to = 0; to < ranks_; ++to)
      if (to != size_t(rank)) heaps_[size_t(rank) * ranks_ + to].push({scores[rank] - scores[to], uint32_t(item)});
  }

  // The cheapest move from one rank to another; none where the rank is empty.
  const Move* cheapest(size_t from, size_t to) {
    Heap& heap = heaps_[from * ranks_ + to];
    while (!heap.empty() && size_t(rank_[heap.top().item]) != from) heap.pop();
    return heap.empty() ? nullptr : &heap.top();
  }

  // Bellman and Ford over the ranks; sums of losses have no negative cycle, as the assignment is the best of its loads.
  void push(size_t from, int64_t capacity) {
    constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
    std::vector<int64_t> distance(ranks_, kFar);
    std::vector<size_t> before(ranks_, from);
    distance[from] = 0;
    for (size_t round = 0; round + 1 < ranks_; ++round) {
      bool changed = false;
      for (size_t a = 0; a < ranks_; ++a)
        for (size_t b = 0; b < ranks_ && distance[a] < kFar; ++b) {
          if (a == b || b == from) continue;
          const Move* const move = cheapest(a, b);
          if (move == nullptr || distance[a] + move->loss >= distance[b]) continue;
          distance[b] = distance[a] + move->loss;
          before[b] = a;
          changed = true;
        }
      if (!changed) break;
    }
    size_t end = ranks_;
    for (size_t rank = 0; rank < ranks_; ++rank)
      if (load_[rank] < capacity && distance[rank] < kFar && (end == ranks_ || distance[rank] < distance[end]))
        end = rank;
    CHECK(end < ranks_);
    std::vector<std::pair<size_t, size_t>> moved;  // item, rank; all are chosen before any is carried out
    for (size_t rank = end; rank != from; rank = before[rank]) {
      CHECK(moved.size() < ranks_);
      moved.emplace_back(cheapest(before[rank], rank)->item, rank);
    }
    for (const auto& [item, rank] : moved) {
      --load_[size_t(rank_[item])];
      put(item, int32_t(rank));
    }
  }

  static constexpr double kScale = 1 << 20;  // of a whole number

  const BalancedProblem& problem_;
  size_t ranks_;
  std::vector<Heap> heaps_;  // [from * ranks + to]
  std::vector<int64_t> load_;
  std::vector<int32_t> rank_;
  std::vector<int64_t> score_;
};

// Moves and exchanges on a weighted assignment.
class Exchange {
 public:
  Exchange(const BalancedProblem& problem, std::vector<int32_t> rank)
      : problem_(problem), rank_(std::move(rank)), load_(size_t(problem.ranks), 0) {
    for (size_t item = 0; item < rank_.size(); ++item) load_[size_t(rank_[item])] += problem.weight[item];
    capacity_ = std::max(capacity_of(problem), *std::max_element(load_.begin(), load_.end()));
  }

  std::vector<int32_t> improve() {
    for (int32_t round = 0; round < kExchangeRounds; ++round)
      if (!improve_once()) break;
    return rank_;
  }

 private:
  float score(size_t item, int32_t rank) const { return problem_.score[item * size_t(problem_.ranks) + size_t(rank)]; }

  bool improve_once() {
    bool changed = false;
    for (size_t a = 0; a < rank_.size(); ++a) {
      changed |= move(a);
      for (size_t b = a + 1; b < rank_.size(); ++b) changed |= exchange(a, b);
    }
    return changed;
  }

  bool move(size_t item) {
    for (int32_t to = 0; to < problem_.ranks; ++to) {
      if (score(item, to) <= score(item, rank_[item]) + kGain) continue;
      if (load_[size_t(to)] + problem_.weight[item] > capacity_) continue;
      load_[size_t(rank_[item])] -= problem_.weight[item];
      load_[size_t(to)] += problem_.weight[item];
      rank_[item] = to;
      return true;
    }
    return false;
  }

  bool exchange(size_t a, size_t b) {
    const int32_t from = rank_[a];
    const int32_t to = rank_[b];
    if (from == to || score(a, to) + score(b, from) <= score(a, from) + score(b, to) + kGain) return false;
    const int64_t shift = problem_.weight[a] - problem_.weight[b];
    if (load_[size_t(to)] + shift > capacity_ || load_[size_t(from)] - shift > capacity_) return false;
    load_[size_t(to)] += shift;
    load_[size_t(from)] -= shift;
    std::swap(rank_[a], rank_[b]);
    return true;
  }

  static constexpr float kGain = 1e-5F;

  const BalancedProblem& problem_;
  std::vector<int32_t> rank_;
  std::vector<int64_t> load_;
  int64_t capacity_ = 0;
};

}  // namespace

int64_t capacity_of(const BalancedProblem& problem) {
  const int64_t total = std::accumulate(problem.weight.begin(), problem.weight.end(), int64_t{0});
  const int64_t heaviest = problem.weight.empty() ? 0 : *std::max_element(problem.weight.begin(), problem.weight.end());
  if (heaviest == 0) return 0;
  const int64_t ranks = problem.ranks;
  const int64_t items_total = int64_t(problem.weight.size());
  const int64_t level = (items_total + ranks - 1) / ranks * heaviest;  // of items that are all as heavy
  const double mean = double(total) / double(ranks);
  return std::max(int64_t(problem.limit * mean), std::min(level, int64_t(mean) + heaviest));
}

std::vector<int32_t> assign_alike(const BalancedProblem& problem) {
  CHECK(problem.score.size() == problem.weight.size() * size_t(problem.ranks));
  for (const int64_t weight : problem.weight) CHECK(weight == problem.weight[0]);
  return RankFlow(problem).solve();
}

std::vector<int32_t> assign_weighted(const BalancedProblem& problem) {
  CHECK(problem.score.size() == problem.weight.size() * size_t(problem.ranks));
  const size_t ranks = size_t(problem.ranks);
  const int64_t capacity = capacity_of(problem);
  std::vector<size_t> order(problem.weight.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return problem.weight[a] > problem.weight[b]; });
  std::vector<int32_t> rank(order.size(), 0);
  std::vector<int64_t> load(ranks, 0);
  for (const size_t item : order) {
    size_t best = ranks;
    for (size_t to = 0; to < ranks; ++to) {
      if (load[to] + problem.weight[item] > capacity) continue;
      if (best == ranks || problem.score[item * ranks + to] > problem.score[item * ranks + best]) best = to;
    }
    if (best == ranks) best = size_t(std::min_element(load.begin(), load.end()) - load.begin());
    rank[item] = int32_t(best);
    load[best] += problem.weight[item];
  }
  return rank.empty() ? rank : Exchange(problem, std::move(rank)).improve();
}

}  // namespace moesim
