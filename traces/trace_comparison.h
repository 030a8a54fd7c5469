// How far apart two traces are in everything that a simulation of experts could notice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "traces/reuse_distance.h"
#include "traces/routing_trace.h"
#include "traces/trace_statistics.h"

namespace moesim {

// What is compared. Caches are those of reuse_distance.h.
struct TraceFingerprint {
  TraceStatistics statistics;
  std::vector<HitRates> lru_by_layer;
  HitRates lru_of_all;
  double kept_choices = 0;  // of a token's choices, those that the token before it in the request chose too
};

TraceFingerprint trace_fingerprint(const RoutingTrace& trace);

// Of two traces with the same experts and layers; rates are of the second against the first.
struct TraceDifference {
  double load = 0;
  double load_mean = 0;
  double information = 0;
  double information_mean = 0;
  double lru_by_layer = 0;
  double lru_of_all = 0;
  double kept_choices = 0;
  double token_table = 0;
  double drift = 0;
  double domains = 0;
  double domain_skew = 0;
};

template <class Visitor>
void fields(Visitor& v, TraceDifference& s) {
  const auto share = between(0.0, 1.0);
  v.required("load", s.load, share, "share of a layer's load that lies on other experts, in the worst layer");
  v.required("load_mean", s.load_mean, share, "the same, mean over layers");
  v.required("information", s.information, at_least(0.0),
             "relative difference of the mutual information of first choices in a layer and the next, worst layer");
  v.required("information_mean", s.information_mean, at_least(0.0), "the same of the mean over layers");
  v.required("lru_by_layer", s.lru_by_layer, share,
             "difference of the hit rates of an LRU cache of one layer, at the worst size in the worst layer");
  v.required("lru_of_all", s.lru_of_all, share, "of one LRU cache for all layers, at the worst size");
  v.required("kept_choices", s.kept_choices, share,
             "difference of the share of choices that the token before in the request made too");
  v.required("token_table", s.token_table, share,
             "difference of how many first choices a table by token id predicts, in the worst layer");
  v.required("drift", s.drift, share, "difference of the drift from tenth to tenth, in the worst layer");
  v.required("domains", s.domains, share, "share of the tokens that are of other domains");
  v.required("domain_skew", s.domain_skew, at_least(0.0),
             "relative difference of the hottest expert over the mean within a domain, mean over domains and layers");
}

TraceDifference trace_difference(const TraceFingerprint& a, const TraceFingerprint& b);

}  // namespace moesim
