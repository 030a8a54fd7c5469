// Synthetic routing: tokens choose experts at random by their popularity, for any number of experts, choices, layers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/random.h"
#include "traces/routing_trace.h"

namespace moesim {

enum class Popularity { uniform, zipf, log_normal, per_layer };

constexpr auto enum_names(Popularity) {
  return std::to_array<std::pair<Popularity, const char*>>({{Popularity::uniform, "uniform"},
                                                            {Popularity::zipf, "zipf"},
                                                            {Popularity::log_normal, "log_normal"},
                                                            {Popularity::per_layer, "per_layer"}});
}

struct SyntheticRouting {
  Popularity popularity = Popularity::log_normal;
  double exponent = 0.6;
  double sigma = 0.5;
  std::vector<double> skews;
  int64_t stream = 0;
};

template <class Visitor>
void fields(Visitor& v, SyntheticRouting& s) {
  v.optional("popularity", s.popularity, "how much more often some experts are chosen than others");
  v.optional("exponent", s.exponent, between(0.0, 8.0), "zipf: the r-th expert weighs 1 / r^exponent");
  v.optional("sigma", s.sigma, between(0.0, 8.0), "log_normal: deviation of the logarithm of an expert's weight");
  v.optional("skews", s.skews, between(0.0, 8.0),
             "per_layer: the Zipf exponent of each layer; fewer than there are layers repeat");
  v.optional("stream", s.stream, at_least(int64_t{0}), "other tokens of the same popularity");
}

inline void check_fields(const SyntheticRouting& s, const std::function<void(std::string, std::string)>& fault) {
  if (s.popularity == Popularity::per_layer && s.skews.empty()) fault("skews", "per_layer needs at least one exponent");
}

struct RoutingShape {
  int64_t layers = 0;
  int64_t experts = 0;  // at most kTraceExpertsMax
  int64_t top_k = 0;    // at most experts
};

// Draws each token's experts without replacement, by the weights of its layer: which experts are popular differs from
// layer to layer. A token's choices depend on the options, the shape, the seed and its number alone, so that any
// window of tokens can be drawn by itself.
class SyntheticRouter {
 public:
  SyntheticRouter(const SyntheticRouting& options, RoutingShape shape, uint64_t seed);

  // Fills [layer][k], the first drawn first. O(1) a choice, but O(experts) where the experts already chosen hold
  // nearly all weight.
  void route(int64_t token, std::span<uint16_t> row);

  std::span<const double> weights(int64_t layer) const { return layers_[size_t(layer)].weights; }

 private:
  struct Layer {
    std::vector<double> weights;
    AliasTable table;
  };
  uint16_t draw(const Layer& layer, Rng& rng);

  RoutingShape shape_;
  uint64_t seed_;
  std::vector<Layer> layers_;
  std::vector<uint64_t> chosen_in_;  // by expert: the choice, numbered by choice_, that last took it
  uint64_t choice_ = 0;
};

// The tokens of a window as a trace; `token`, `request` and the like are empty.
RoutingTrace synthetic_trace(const SyntheticRouting& options, RoutingShape shape, uint64_t seed, int64_t first_token,
                             int64_t tokens);

}  // namespace moesim
