#include "sim/policy/placement/co_clustering.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/policy/placement/assignment.h"
#include "sim/policy/shuffle/balanced_assignment.h"

namespace moesim {
namespace {

// [expert * gpus + cluster] choices of the items in each cluster, of one layer.
std::vector<double> gains(const CoClusteringCase& c, const std::vector<int32_t>& of_item, int32_t layer) {
  std::vector<double> gain(size_t(c.experts) * size_t(c.gpus), 0);
  for (size_t item = 0; item < of_item.size(); ++item) {
    const auto row = c.row(item, layer);
    for (size_t expert = 0; expert < row.size(); ++expert)
      gain[expert * size_t(c.gpus) + size_t(of_item[item])] += double(row[expert]) * double(c.weight[item]);
  }
  return gain;
}

double deviation_of(std::span<const double> values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
  double sum = 0;
  for (const double value : values) sum += std::abs(value - mean);
  return sum;
}

std::vector<int32_t> cluster_items(const CoClusteringCase& c, const std::vector<std::vector<int32_t>>& of_expert) {
  std::vector<float> score(c.weight.size() * size_t(c.gpus), 0);
  for (size_t item = 0; item < c.weight.size(); ++item)
    for (int32_t layer = 0; layer < c.layers; ++layer) {
      const auto row = c.row(item, layer);
      for (size_t expert = 0; expert < row.size(); ++expert)
        score[item * size_t(c.gpus) + size_t(of_expert[size_t(layer)][expert])] += row[expert];
    }
  const BalancedProblem problem{c.gpus, score, c.weight, c.limit};
  const bool alike = std::adjacent_find(c.weight.begin(), c.weight.end(), std::not_equal_to<>()) == c.weight.end();
  if (alike) return assign_alike(problem);
  for (size_t item = 0; item < c.weight.size(); ++item)  // heavy items count as much as their tokens
    for (size_t gpu = 0; gpu < size_t(c.gpus); ++gpu) score[item * size_t(c.gpus) + gpu] *= float(c.weight[item]);
  return assign_weighted(problem);
}

std::vector<int32_t> cluster_experts(const CoClusteringCase& c, const std::vector<double>& gain) {
  std::vector<double> cost(gain.size());
  std::transform(gain.begin(), gain.end(), cost.begin(), [](double value) { return -value; });
  std::vector<int32_t> of_expert;
  for (const size_t gpu : cheapest_assignment(cost, c.slots)) of_expert.push_back(int32_t(gpu));
  return of_expert;
}

// Exchanges of two experts of one layer, as long as the objective falls.
class ExpertExchange {
 public:
  ExpertExchange(const CoClusteringCase& c, const std::vector<double>& gain, std::vector<int32_t>& of_expert)
      : c_(c), gain_(gain), of_expert_(of_expert), load_(size_t(c.gpus), 0) {
    const size_t gpus = size_t(c.gpus);
    for (size_t expert = 0; expert < size_t(c.experts); ++expert) {
      total_.push_back(
          std::accumulate(gain.begin() + int64_t(expert * gpus), gain.begin() + int64_t((expert + 1) * gpus), 0.0));
      load_[size_t(of_expert[expert])] += total_.back();
    }
    mean_ = std::accumulate(load_.begin(), load_.end(), 0.0) / double(gpus);
  }

  void improve() {
    constexpr int32_t kRounds = 20;
    for (int32_t round = 0; round < kRounds; ++round) {
      bool changed = false;
      for (size_t a = 0; a < total_.size(); ++a)
        for (size_t b = a + 1; b < total_.size(); ++b) changed |= exchange(a, b);
      if (!changed) return;
    }
  }

 private:
  double gain(size_t expert, size_t gpu) const { return gain_[expert * size_t(c_.gpus) + gpu]; }
  double off(double load) const { return std::abs(load - mean_); }

  bool exchange(size_t a, size_t b) {
    const size_t from = size_t(of_expert_[a]);
    const size_t to = size_t(of_expert_[b]);
    if (from == to) return false;
    const double local = gain(a, to) + gain(b, from) - gain(a, from) - gain(b, to);
    const double shift = total_[a] - total_[b];
    const double deviation = off(load_[from] - shift) + off(load_[to] + shift) - off(load_[from]) - off(load_[to]);
    if (c_.balance * deviation - (1 - c_.balance) * local > -1e-9 * mean_) return false;
    load_[from] -= shift;
    load_[to] += shift;
    std::swap(of_expert_[a], of_expert_[b]);
    return true;
  }

  const CoClusteringCase& c_;
  const std::vector<double>& gain_;
  std::vector<int32_t>& of_expert_;
  std::vector<double> total_;  // [expert]
  std::vector<double> load_;   // [gpu]
  double mean_ = 0;
};

CoClusters alternate_once(const CoClusteringCase& c, int32_t rounds, Rng& rng) {
  std::vector<int32_t> slots;
  for (size_t gpu = 0; gpu < c.slots.size(); ++gpu) slots.insert(slots.end(), size_t(c.slots[gpu]), int32_t(gpu));
  CoClusters clusters;
  for (int32_t layer = 0; layer < c.layers; ++layer) {
    rng.shuffle(std::span(slots));
    clusters.of_expert.emplace_back(slots.begin(), slots.begin() + c.experts);
  }
  for (int32_t round = 0; round < rounds; ++round) {
    clusters.of_item = cluster_items(c, clusters.of_expert);
    bool changed = false;
    for (int32_t layer = 0; layer < c.layers; ++layer) {
      std::vector<int32_t> next = cluster_experts(c, gains(c, clusters.of_item, layer));
      changed |= next != clusters.of_expert[size_t(layer)];
      clusters.of_expert[size_t(layer)] = std::move(next);
    }
    if (!changed) break;
  }
  for (int32_t layer = 0; layer < c.layers; ++layer) {
    const std::vector<double> gain = gains(c, clusters.of_item, layer);
    ExpertExchange(c, gain, clusters.of_expert[size_t(layer)]).improve();
  }
  clusters.of_item = cluster_items(c, clusters.of_expert);
  clusters.objective = co_clustering_objective(c, clusters);
  return clusters;
}

}  // namespace

double co_clustering_objective(const CoClusteringCase& c, const CoClusters& clusters) {
  std::vector<double> tokens(size_t(c.gpus), 0);
  for (size_t item = 0; item < c.weight.size(); ++item)
    tokens[size_t(clusters.of_item[item])] += double(c.weight[item]);
  double objective = c.balance * c.layers * deviation_of(tokens);
  for (int32_t layer = 0; layer < c.layers; ++layer) {
    std::vector<double> load(size_t(c.gpus), 0);
    const std::vector<double> gain = gains(c, clusters.of_item, layer);
    double remote = 0;
    for (size_t expert = 0; expert < size_t(c.experts); ++expert)
      for (size_t gpu = 0; gpu < size_t(c.gpus); ++gpu) {
        const size_t home = size_t(clusters.of_expert[size_t(layer)][expert]);
        const double choices = gain[expert * size_t(c.gpus) + gpu];
        load[home] += choices;
        if (gpu != home) remote += choices;
      }
    objective += (c.balance * deviation_of(load) + (1 - c.balance) * remote) / c.top_k;
  }
  return objective;
}

CoClusters alternate(const CoClusteringCase& c, int32_t restarts, int32_t rounds, Rng& rng) {
  CHECK(c.experts <= std::accumulate(c.slots.begin(), c.slots.end(), 0));
  CoClusters best;
  for (int32_t start = 0; start < restarts; ++start) {
    CoClusters found = alternate_once(c, rounds, rng);
    if (start == 0 || found.objective < best.objective) best = std::move(found);
  }
  return best;
}

}  // namespace moesim
