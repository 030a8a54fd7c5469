// Speculative expert grouping, s-EG (Speculative MoE, arXiv 2503.04398): experts of a layer that the same tokens are
// likely to choose go to one GPU, together with the tokens, so that shuffling finds them there.

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sim/core/check.h"
#include "sim/core/parallel.h"
#include "sim/core/random.h"
#include "sim/policy/placement/co_clustering.h"
#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

// What stays together: tokens, in each layer anew, as shuffling in attention-TP allows; or whole requests in all
// layers, as in attention-DP.
enum class Grouping { tokens, requests };

constexpr auto enum_names(Grouping) {
  return std::to_array<std::pair<Grouping, const char*>>(
      {{Grouping::tokens, "tokens"}, {Grouping::requests, "requests"}});
}

struct SpeculativeOptions : ProgramOptions {
  Grouping group_by = Grouping::tokens;
  double balance = 0.2;
  double limit = 1.1;
  double smoothing = 2;
  int64_t tokens_max = 4096;
  int32_t restarts = 3;
  int32_t rounds = 12;
};

template <class Visitor>
void fields(Visitor& v, SpeculativeOptions& s) {
  fields(v, static_cast<ProgramOptions&>(s));
  v.optional("group_by", s.group_by,
             "`tokens`: each layer by itself, for shuffles of tokens; `requests`: all layers together, for shuffles of "
             "requests");
  v.optional("balance", s.balance, between(0.0, 0.99), "weight of even loads against local choices");
  v.optional("limit", s.limit, between(1.0, 1024.0), "tokens of the fullest cluster over the mean, at most");
  v.optional("smoothing", s.smoothing, above(0.0), "average tokens that every token id counts besides its own");
  v.optional("tokens_max", s.tokens_max, at_least(int64_t{1}), "of the training part, evenly spaced, that are grouped");
  v.optional("restarts", s.restarts, between(1, 1000), "random starts of the alternating solver");
  v.optional("rounds", s.rounds, between(1, 1000), "of each start, at most");
}

CoClusteringCase empty_case(const PlacementInput& in, const SpeculativeOptions& options) {
  CoClusteringCase c;
  c.experts = in.experts;
  c.gpus = in.gpus;
  c.top_k = in.past.top_k;
  for (int32_t gpu = 0; gpu < in.gpus; ++gpu) c.slots.push_back(slots_of(in, size_t(gpu)));
  c.balance = options.balance;
  c.limit = options.limit;
  return c;
}

// Tokens of the training part by what their ids are expected to choose, or by what they chose where ids are not
// recorded.
CoClusteringCase tokens_of_layer(const PlacementInput& in, const SpeculativeOptions& options,
                                 const ExpertPredictor& by_id, int32_t layer) {
  CoClusteringCase c = empty_case(in, options);
  const int64_t items = std::min(options.tokens_max, in.past.tokens);
  c.weight.assign(size_t(items), 1);
  c.expected.resize(size_t(items) * size_t(in.experts));
  StepRouting nothing{
      .tokens = 1, .layers = in.layers, .experts = in.experts, .top_k = in.past.top_k, .ids = {}, .first_token = {}};
  for (int64_t item = 0; item < items; ++item) {
    const int64_t token = item * in.past.tokens / items;
    const auto row = std::span(c.expected).subspan(size_t(item) * size_t(in.experts), size_t(in.experts));
    if (!in.past.token.empty()) {
      predict_experts(by_id, {{in.past.token[size_t(token)]}, {}}, nothing, 0, layer, 0, row);
    } else {
      for (const uint16_t expert : in.past.choices(token, layer))
        if (expert != kNoExpert) row[expert] += 1;
    }
  }
  return c;
}

// Requests of the training part by what their tokens chose, in all layers.
CoClusteringCase requests_of_past(const PlacementInput& in, const SpeculativeOptions& options) {
  CoClusteringCase c = empty_case(in, options);
  c.layers = in.layers;
  std::map<int32_t, size_t> item_of;
  const size_t row = size_t(in.layers) * size_t(in.experts);
  for (int64_t token = 0; token < in.past.tokens; ++token) {
    const int32_t request = in.past.request.empty() ? 0 : in.past.request[size_t(token)];
    const auto [found, is_new] = item_of.try_emplace(request, item_of.size());
    if (is_new) {
      c.weight.push_back(0);
      c.expected.resize(c.expected.size() + row, 0.0F);
    }
    const size_t item = found->second;
    ++c.weight[item];
    for (int32_t layer = 0; layer < in.layers; ++layer)
      for (const uint16_t expert : in.past.choices(token, layer))
        if (expert != kNoExpert) c.expected[item * row + size_t(layer) * size_t(in.experts) + expert] += 1;
  }
  for (size_t item = 0; item < c.weight.size(); ++item)
    for (size_t entry = item * row; entry < (item + 1) * row; ++entry) c.expected[entry] /= float(c.weight[item]);
  return c;
}

CoClusters group(const CoClusteringCase& c, const SpeculativeOptions& options, Rng& rng, PlacementProof& proof) {
  CoClusters found = alternate(c, options.restarts, options.rounds, rng);
  if (c.layers == 1 && co_clustering_columns(c) <= options.columns_max)
    found = solve_co_clustering(c, found, options, proof);
  proof.objective += found.objective;
  return found;
}

Placement place_speculative(const PlacementInput& in, const SpeculativeOptions& options, Rng& rng) {
  CHECK(in.experts <= slots_total(in));
  if (in.past.tokens == 0) return contiguous_placement(in);
  const uint64_t seed = rng.next();
  PlacementProof proof;
  std::vector<std::vector<int32_t>> gpu_of(static_cast<size_t>(in.layers));
  if (options.group_by == Grouping::requests) {
    Rng own(seed);
    gpu_of = group(requests_of_past(in, options), options, own, proof).of_expert;
  } else {
    const Placement start = contiguous_placement(in);
    const PredictionInput seen{in.past, start, in.layers, in.experts, in.gpus};
    ExpertPredictor by_id = learn_priors(seen);
    learn_tokens(seen, {1, options.smoothing}, by_id);
    std::vector<PlacementProof> proofs(gpu_of.size());
    for_all(gpu_of.size(), size_t(options.threads), [&](size_t layer) {
      Rng own(splitmix64(seed + layer));
      const CoClusteringCase c = tokens_of_layer(in, options, by_id, int32_t(layer));
      gpu_of[layer] = group(c, options, own, proofs[layer]).of_expert[0];
    });
    for (const PlacementProof& of_layer : proofs) add_part(proof, of_layer);
  }
  Placement placement =
      place_each(in, [&](int32_t layer, int32_t expert) { return gpu_of[size_t(layer)][size_t(expert)]; });
  if (!proof.solver.empty()) placement.proof = proof;
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "speculative", "experts that the same tokens or requests are likely to choose on one GPU", place_speculative);

}  // namespace
}  // namespace moesim
