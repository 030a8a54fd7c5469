// Speculative expert grouping (Speculative MoE, arXiv 2503.04398): items, which are tokens or requests, and experts go
// to clusters together, so that what an item is expected to choose lies in its own cluster.
//
// R[i, j] = 1 where item j is in cluster i, C[i, k] = 1 where expert k is; a_j is the weight of item j, p[j, k] how
// many choices of one of its tokens go to expert k. The objective to be least is
//   balance * sum_i (|sum_j R[i, j] a_j - mean| + |sum_jk C[i, k] p[j, k] a_j - mean| / top_k)
//   + (1 - balance) * sum_{j, k} a_j p[j, k] [item j and expert k in different clusters] / top_k,
// where each item and expert has one cluster and a cluster has as many experts as slots. The paper has no second term:
// without it the tokens of GPUs are even, but not the rows that their experts compute.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/policy/placement/program_options.h"

namespace moesim {

// Several layers are grouped at once where the clusters of items are the same in all.
struct CoClusteringCase {
  int32_t layers = 1;
  int32_t experts = 0;
  int32_t gpus = 0;
  int32_t top_k = 1;
  std::vector<int32_t> slots;   // [gpu]
  std::vector<float> expected;  // [(item * layers + layer) * experts + expert]
  std::vector<int64_t> weight;  // [item]
  double balance = 0.2;
  double limit = 1.1;  // tokens of the fullest cluster over the mean

  std::span<const float> row(size_t item, int32_t layer) const {
    return std::span(expected).subspan((item * size_t(layers) + size_t(layer)) * size_t(experts), size_t(experts));
  }
};

struct CoClusters {
  std::vector<int32_t> of_item;
  std::vector<std::vector<int32_t>> of_expert;  // [layer][expert]
  double objective = 0;
};

double co_clustering_objective(const CoClusteringCase& c, const CoClusters& clusters);

// The alternating solver: from random clusters of experts, items go to their best cluster within the limit, experts to
// theirs by the cheapest assignment, in turn until nothing changes; then experts are exchanged as long as it pays. The
// best of `restarts` counts.
CoClusters alternate(const CoClusteringCase& c, int32_t restarts, int32_t rounds, Rng& rng);

// The program as it stands above, for one layer and few items: columns are gpus * (items + experts + 2) + items *
// experts. It starts from `start` and is never worse.
CoClusters solve_co_clustering(const CoClusteringCase& c, const CoClusters& start, const IlpOptions& options,
                               PlacementProof& proof);
int64_t co_clustering_columns(const CoClusteringCase& c);

}  // namespace moesim
