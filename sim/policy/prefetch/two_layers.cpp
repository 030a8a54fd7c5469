// A dictionary of what follows two layers: how often each expert was chosen after a pair of experts of the two layers
// before, learnt once from past tokens. Of EdgeMoE (arXiv 2308.14352), whose models choose one expert a token, so that
// the pair is all that is known of it; of several choices the first, that of the largest gate weight, stands for the
// token when pairs are learnt, and all pairs that were met vote when they are read. Asks for no forecast.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/routing.h"
#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct TwoLayersOptions {
  double for_each_choice = 2;
};

template <class Visitor>
void fields(Visitor& v, TwoLayersOptions& s) {
  v.optional("for_each_choice", s.for_each_choice, between(0.1, 100.0),
             "experts preloaded for each choice of a token; the paper takes 1 to 3");
}

// state.table holds for each layer the pairs that were met, rising; where each begins in what follows, with an end; and
// what follows: expert, times, expert, times, ...
struct Dictionary {
  std::vector<int32_t>& pairs;
  std::vector<int32_t>& begin;
  std::vector<int32_t>& followers;
};

Dictionary dictionary(PrefetchState& state, int32_t layer) {
  return {state.table[size_t(layer) * 3], state.table[size_t(layer) * 3 + 1], state.table[size_t(layer) * 3 + 2]};
}

// The pair before a layer; in the first two layers all tokens are alike.
int32_t pair_before(const PrefetchInput& in, int64_t token, int32_t layer) {
  if (layer < 2) return 0;
  const uint16_t first = in.past.choices(token, layer - 2).front();
  const uint16_t second = in.past.choices(token, layer - 1).front();
  return first == kNoExpert || second == kNoExpert ? -1 : first * in.experts + second;
}

void close_pair(const PrefetchInput& in, int32_t pair, std::vector<int32_t>& times, const Dictionary& of) {
  of.pairs.push_back(pair);
  for (int32_t expert = 0; expert < in.experts; ++expert)
    if (times[size_t(expert)] > 0) {
      of.followers.push_back(expert);
      of.followers.push_back(times[size_t(expert)]);
    }
  of.begin.push_back(int32_t(of.followers.size()));
  std::fill(times.begin(), times.end(), 0);
}

void learn_layer(const PrefetchInput& in, int32_t layer, const Dictionary& of) {
  std::vector<int32_t> pair(size_t(in.past.tokens));
  for (int64_t token = 0; token < in.past.tokens; ++token) pair[size_t(token)] = pair_before(in, token, layer);
  std::vector<int32_t> tokens(pair.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::stable_sort(tokens.begin(), tokens.end(),
                   [&](int32_t a, int32_t b) { return pair[size_t(a)] < pair[size_t(b)]; });
  std::vector<int32_t> times(size_t(in.experts), 0);
  of.begin.push_back(0);
  for (size_t at = 0; at < tokens.size(); ++at) {
    const int32_t key = pair[size_t(tokens[at])];
    if (key < 0) continue;
    for (const uint16_t expert : in.past.choices(tokens[at], layer))
      if (expert != kNoExpert) ++times[expert];
    if (at + 1 == tokens.size() || pair[size_t(tokens[at + 1])] != key) close_pair(in, key, times, of);
  }
}

void vote(const Dictionary& of, int32_t pair, std::vector<float>& votes) {
  const auto found = std::lower_bound(of.pairs.begin(), of.pairs.end(), pair);
  if (found == of.pairs.end() || *found != pair) return;
  const size_t at = size_t(found - of.pairs.begin());
  for (int32_t entry = of.begin[at]; entry < of.begin[at + 1]; entry += 2)
    votes[size_t(of.followers[size_t(entry)])] += float(of.followers[size_t(entry) + 1]);
}

std::span<const ExpertItem> prefetch_two_layers(PrefetchState& state, const PrefetchInput& in,
                                                const TwoLayersOptions& options, Rng&) {
  state.wanted.clear();
  if (state.table.empty()) {
    state.table.resize(size_t(in.layers) * 3);
    for (int32_t layer = 0; layer < in.layers; ++layer) learn_layer(in, layer, dictionary(state, layer));
  }
  const int32_t layer = in.layer + 1;
  if (layer >= in.layers) return {};
  state.weight.assign(size_t(in.experts), 0);
  const Dictionary of = dictionary(state, layer);
  if (layer < 2) {
    vote(of, 0, state.weight);
  } else {
    for (const int32_t first : in.chosen[size_t(layer - 2)])
      for (const int32_t second : in.chosen[size_t(layer - 1)]) vote(of, first * in.experts + second, state.weight);
  }
  const int64_t most = std::min<int64_t>(
      in.experts, std::max<int64_t>(1, int64_t(options.for_each_choice * double(experts_needed_most(in)))));
  std::vector<int32_t> ranked;
  rank_by(in, layer, state.weight, most, ranked);
  want_absent(in, layer, ranked, INT64_MAX, state.wanted);
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "two_layers", "what followed the experts of the two layers before in the past", prefetch_two_layers);

}  // namespace
}  // namespace moesim
