// Synthetic routing: tokens choose experts at random by their popularity, for any number of experts, choices, layers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/random.h"
#include "traces/routing_trace.h"

namespace moesim {

enum class Popularity {
  uniform,
  zipf,
  log_normal,
  per_layer,
  domains,
  balanced,  // from here on as drifting.h says
  hot_set,
  hot_rank,
  ragged,
  rotating,
  burst
};

constexpr auto enum_names(Popularity) {
  return std::to_array<std::pair<Popularity, const char*>>({{Popularity::uniform, "uniform"},
                                                            {Popularity::zipf, "zipf"},
                                                            {Popularity::log_normal, "log_normal"},
                                                            {Popularity::per_layer, "per_layer"},
                                                            {Popularity::domains, "domains"},
                                                            {Popularity::balanced, "balanced"},
                                                            {Popularity::hot_set, "hot_set"},
                                                            {Popularity::hot_rank, "hot_rank"},
                                                            {Popularity::ragged, "ragged"},
                                                            {Popularity::rotating, "rotating"},
                                                            {Popularity::burst, "burst"}});
}

// Those that may differ from step to step, which DriftingRouter draws.
constexpr bool is_drifting(Popularity popularity) { return popularity >= Popularity::balanced; }

struct SyntheticRouting {
  Popularity popularity = Popularity::log_normal;
  double exponent = 0.6;
  double sigma = 0.5;
  std::vector<double> skews;
  int64_t stream = 0;
  int32_t domains = 8;
  double hot_part = 0.125;
  double heat = 4;
  int32_t period = 8;
  std::optional<int32_t> shift{};
  int32_t burst = 2;
  double live_min = 0.25;
  double repeat = 0;
};

template <class Visitor>
void fields(Visitor& v, SyntheticRouting& s) {
  v.optional("popularity", s.popularity, "how much more often some experts are chosen than others");
  v.optional("exponent", s.exponent, between(0.0, 8.0), "zipf: the r-th expert weighs 1 / r^exponent");
  v.optional("sigma", s.sigma, between(0.0, 8.0),
             "log_normal, domains: deviation of the logarithm of an expert's weight");
  v.optional("skews", s.skews, between(0.0, 8.0),
             "per_layer: the Zipf exponent of each layer; fewer than there are layers repeat");
  v.optional("stream", s.stream, at_least(int64_t{0}), "other tokens of the same popularity");
  v.optional(
      "domains", s.domains, between(1, 1024),
      "domains: kinds of tokens, each with a popularity of its own; in which mixture they come is drawn once for "
      "the training part and once for the judged one");
  v.optional("hot_part", s.hot_part, between(0.0, 1.0),
             "hot_set, rotating, burst: part of a layer's experts that are hot, one at least");
  v.optional("heat", s.heat, between(1.0, 65535.0),
             "hot_set, hot_rank, rotating, burst: how often a hot expert is chosen over the mean; at most such that "
             "every token chooses it");
  v.optional("period", s.period, between(1, 1'000'000),
             "rotating: steps after which the hot set moves; burst: steps from one burst to the next");
  v.optional("shift", s.shift, between(0, 65535),
             "rotating: hot experts that are exchanged when the hot set moves; all of them");
  v.optional("burst", s.burst, between(1, 1'000'000), "burst: the last steps of each period, which have a hot set");
  v.optional("live_min", s.live_min, between(0.0, 1.0),
             "ragged: part of the last GPU's tokens that are not padding; the first has all, others lie between");
  v.optional("repeat", s.repeat, between(0.0, 1.0),
             "zipf, log_normal, per_layer, domains, uniform: probability with which a token takes over each expert of "
             "the token before it, as the tokens of a text do; every 512th takes over none");
}

inline void check_fields(const SyntheticRouting& s, const std::function<void(std::string, std::string)>& fault) {
  if (s.popularity == Popularity::per_layer && s.skews.empty()) fault("skews", "per_layer needs at least one exponent");
  if (is_drifting(s.popularity) && s.repeat > 0) fault("repeat", "is not of workloads that drift");
  if (s.popularity == Popularity::burst && s.burst > s.period) fault("burst", "must not be longer than the period");
}

struct RoutingShape {
  int64_t layers = 0;
  int64_t experts = 0;  // at most kTraceExpertsMax
  int64_t top_k = 0;    // at most experts
};

// Draws each token's experts without replacement, by the weights of its layer: which experts are popular differs from
// layer to layer. A token's choices depend on the options, the shape, the seed and its number alone, so that any
// window of tokens can be drawn by itself. With domains it depends on the number of their mixture too.
class SyntheticRouter {
 public:
  SyntheticRouter(const SyntheticRouting& options, RoutingShape shape, uint64_t seed, int64_t mixture);

  // Fills [layer][k], the first drawn first. O(1) a choice, but O(experts) where the experts already chosen hold
  // nearly all weight.
  void route(int64_t token, std::span<uint16_t> row);

  // Of the first domain, where there are several.
  std::span<const double> weights(int64_t layer) const { return layers_[size_t(layer)].weights; }

  int32_t domain_of(int64_t token) const;

 private:
  struct Layer {
    std::vector<double> weights;
    AliasTable table;
  };
  Rng rng_of(int64_t token) const;
  size_t draw_domain(Rng& rng) const;
  uint16_t draw(const Layer& layer, Rng& rng);
  void route_alone(int64_t token, std::span<uint16_t> row);
  void route_after(int64_t token, std::span<uint16_t> row);

  RoutingShape shape_;
  uint64_t seed_;
  std::vector<Layer> layers_;         // [domain * layers + layer]
  std::optional<AliasTable> domain_;  // where there are several
  std::vector<uint64_t> chosen_in_;   // by expert: the choice, numbered by choice_, that last took it
  uint64_t choice_ = 0;
  double repeat_ = 0;
  int64_t last_token_ = -1;  // whose choices are in last_row_, where tokens repeat them
  std::vector<uint16_t> last_row_;
};

// A window of tokens, and the number of the mixture that they come in.
struct SyntheticPart {
  int64_t first_token = 0;
  int64_t tokens = 0;
  int64_t mixture = 0;
};

// One part after another as a trace. With domains it says that of each token; `token`, `request` and the like are
// empty.
RoutingTrace synthetic_trace(const SyntheticRouting& options, RoutingShape shape, uint64_t seed,
                             std::span<const SyntheticPart> parts);
RoutingTrace synthetic_trace(const SyntheticRouting& options, RoutingShape shape, uint64_t seed, int64_t first_token,
                             int64_t tokens);

}  // namespace moesim
