#include "validation/bench/suites/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim::bench {
namespace {

std::vector<double> cumulative_popularity(int experts, double skew, SplitMix64& random) {
  std::vector<double> popularity(static_cast<size_t>(experts));
  for (size_t place = 0; place < popularity.size(); ++place) popularity[place] = std::pow(double(place + 1), -skew);
  for (size_t last = popularity.size(); last > 1; --last)
    std::swap(popularity[last - 1], popularity[size_t(random.uniform() * double(last))]);
  std::partial_sum(popularity.begin(), popularity.end(), popularity.begin());
  return popularity;
}

// An expert that the token has already is drawn again, which is drawing without replacement.
void draw_token(std::span<const double> cumulative, SplitMix64& random, std::span<int32_t> chosen) {
  for (size_t choice = 0; choice < chosen.size();) {
    const double at = random.uniform() * cumulative.back();
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end() - 1, at);
    const auto expert = int32_t(found - cumulative.begin());
    const auto before = chosen.first(choice);
    if (std::find(before.begin(), before.end(), expert) == before.end()) chosen[choice++] = expert;
  }
}

// counts[source][expert] of the tokens of one chunk.
std::vector<std::vector<int64_t>> chunk_counts(const Routing& routing, int first, int end) {
  std::vector<std::vector<int64_t>> counts(size_t(routing.ranks), std::vector<int64_t>(size_t(routing.experts), 0));
  for (size_t source = 0; source < counts.size(); ++source)
    for (size_t i = size_t(first) * size_t(routing.k); i < size_t(end) * size_t(routing.k); ++i)
      ++counts[source][size_t(routing.ids[source][i])];
  return counts;
}

int64_t rows_between(const std::vector<int64_t>& counts, int first, int end) {
  return std::accumulate(counts.begin() + first, counts.begin() + end, int64_t{0});
}

}  // namespace

Routing draw_routing(const LayerShape& shape, const RoutingCase& c) {
  CHECK(shape.k <= shape.experts);
  Routing routing{c.ranks, c.tokens_per_rank, shape.experts, shape.k, {}};
  SplitMix64 popular{c.seed};
  const std::vector<double> cumulative = cumulative_popularity(shape.experts, c.skew, popular);
  for (int rank = 0; rank < c.ranks; ++rank) {
    SplitMix64 random{splitmix64(c.seed + 0x1000u * uint64_t(rank + 1))};
    std::vector<int32_t> ids(size_t(c.tokens_per_rank) * size_t(shape.k));
    for (size_t token = 0; token < size_t(c.tokens_per_rank); ++token)
      draw_token(cumulative, random, std::span(ids).subspan(token * size_t(shape.k), size_t(shape.k)));
    routing.ids.push_back(std::move(ids));
  }
  return routing;
}

std::vector<std::vector<int64_t>> counts_of(const Routing& routing) { return chunk_counts(routing, 0, routing.tokens); }

ChunkExchange plan_exchange(const Routing& routing, int rank, int chunk, int chunks) {
  const auto counts =
      chunk_counts(routing, first_token(routing.tokens, chunks, chunk), first_token(routing.tokens, chunks, chunk + 1));
  const auto expert_at = [&](int r) { return first_expert(routing.experts, routing.ranks, r); };
  const int first = expert_at(rank);
  const int end = expert_at(rank + 1);
  ChunkExchange plan;
  std::vector<int32_t> arrives;  // [source * local experts + local expert]: its first received row
  for (int peer = 0; peer < routing.ranks; ++peer) {
    plan.send_rows.push_back(rows_between(counts[size_t(rank)], expert_at(peer), expert_at(peer + 1)));
    plan.receive_rows.push_back(rows_between(counts[size_t(peer)], first, end));
    plan.sent += plan.send_rows.back();
    for (int expert = first; expert < end; ++expert) {
      arrives.push_back(int32_t(plan.received));
      plan.received += counts[size_t(peer)][size_t(expert)];
    }
  }
  plan.regroup.reserve(size_t(plan.received));
  plan.unregroup.resize(size_t(plan.received));
  for (int expert = first; expert < end; ++expert) {
    plan.offsets.push_back(int32_t(plan.regroup.size()));
    for (int source = 0; source < routing.ranks; ++source)
      for (int64_t i = 0; i < counts[size_t(source)][size_t(expert)]; ++i) {
        const int32_t row = arrives[size_t(source * (end - first) + expert - first)] + int32_t(i);
        plan.unregroup[size_t(row)] = int32_t(plan.regroup.size());
        plan.regroup.push_back(row);
      }
  }
  plan.offsets.push_back(int32_t(plan.regroup.size()));
  return plan;
}

std::vector<int32_t> ids_by_chunk(const Routing& routing, int rank, int chunks) {
  std::vector<int32_t> ids = routing.ids[size_t(rank)];
  for (int chunk = 0; chunk < chunks; ++chunk)
    for (size_t i = size_t(first_token(routing.tokens, chunks, chunk)) * size_t(routing.k);
         i < size_t(first_token(routing.tokens, chunks, chunk + 1)) * size_t(routing.k); ++i)
      ids[i] += chunk * routing.experts;
  return ids;
}

}  // namespace moesim::bench
