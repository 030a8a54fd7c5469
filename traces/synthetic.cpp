#include "traces/synthetic.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

// After so many draws that hit experts already taken, the rest is searched: a few experts may hold nearly all weight.
constexpr int kRedrawsMax = 16;

// Tokens that repeat experts of those before do so within texts of this length.
constexpr int64_t kTextTokens = 512;

std::vector<double> layer_weights(const SyntheticRouting& options, int64_t layer, int64_t experts, Rng& rng) {
  std::vector<double> weights(size_t(experts), 1.0);
  if (options.popularity == Popularity::log_normal || options.popularity == Popularity::domains)
    for (double& weight : weights) weight = rng.log_normal(0, options.sigma);
  if (options.popularity == Popularity::zipf) weights = zipf_weights(size_t(experts), options.exponent);
  if (options.popularity == Popularity::per_layer)
    weights = zipf_weights(size_t(experts), options.skews[size_t(layer) % options.skews.size()]);
  rng.shuffle(std::span(weights));
  return weights;
}

// Exponential draws, so that some domains are rare.
std::vector<double> shares_of_domains(int32_t domains, int64_t mixture, uint64_t seed) {
  Rng rng = Rng::stream(seed, fmt::format("synthetic mixture {}", mixture));
  std::vector<double> shares(size_t(domains), 0);
  for (double& share : shares) share = rng.exponential();
  return shares;
}

std::string popularity_stream(int32_t domain, int64_t layer) {
  return domain == 0 ? fmt::format("synthetic popularity {}", layer)
                     : fmt::format("synthetic popularity {} of domain {}", layer, domain);
}

}  // namespace

SyntheticRouter::SyntheticRouter(const SyntheticRouting& options, RoutingShape shape, uint64_t seed, int64_t mixture)
    : shape_(shape),
      seed_(Rng::stream(seed, fmt::format("synthetic tokens {}", options.stream)).next()),
      chosen_in_(size_t(shape.experts), 0),
      repeat_(options.repeat) {
  CHECK(shape.experts > 0 && shape.experts <= kTraceExpertsMax);
  CHECK(shape.top_k > 0 && shape.top_k <= shape.experts);
  CHECK(!is_drifting(options.popularity));
  CHECK(options.popularity != Popularity::per_layer || !options.skews.empty());
  const int32_t domains = options.popularity == Popularity::domains ? options.domains : 1;
  for (int32_t domain = 0; domain < domains; ++domain)
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      Rng rng = Rng::stream(seed, popularity_stream(domain, layer));
      const std::vector<double> weights = layer_weights(options, layer, shape.experts, rng);
      layers_.push_back({weights, AliasTable(weights)});
    }
  if (domains > 1) domain_.emplace(shares_of_domains(domains, mixture, seed));
}

Rng SyntheticRouter::rng_of(int64_t token) const { return Rng(splitmix64(seed_ ^ splitmix64(uint64_t(token)))); }

size_t SyntheticRouter::draw_domain(Rng& rng) const { return domain_ ? domain_->draw(rng) : 0; }

int32_t SyntheticRouter::domain_of(int64_t token) const {
  Rng rng = rng_of(token);
  return int32_t(draw_domain(rng));
}

void SyntheticRouter::route(int64_t token, std::span<uint16_t> row) {
  CHECK(row.size() == size_t(shape_.layers * shape_.top_k));
  if (repeat_ == 0) return route_alone(token, row);
  const int64_t text = token / kTextTokens * kTextTokens;
  if (last_token_ < text || last_token_ >= token) {
    last_row_.resize(row.size());
    route_alone(text, last_row_);
    last_token_ = text;
  }
  while (last_token_ < token) route_after(++last_token_, last_row_);
  std::copy(last_row_.begin(), last_row_.end(), row.begin());
}

// Of the row of the token before, each expert stays with the probability that the options say; the others are drawn.
void SyntheticRouter::route_after(int64_t token, std::span<uint16_t> row) {
  Rng rng = rng_of(token);
  const size_t first = draw_domain(rng) * size_t(shape_.layers);
  for (size_t layer = 0; layer < size_t(shape_.layers); ++layer) {
    const std::span<uint16_t> chosen = row.subspan(layer * size_t(shape_.top_k), size_t(shape_.top_k));
    ++choice_;
    size_t kept = 0;
    for (size_t k = 0; k < chosen.size(); ++k)
      if (rng.uniform() < repeat_) {
        chosen_in_[chosen[k]] = choice_;
        chosen[kept++] = chosen[k];
      }
    for (; kept < chosen.size(); ++kept) chosen[kept] = draw(layers_[first + layer], rng);
  }
}

void SyntheticRouter::route_alone(int64_t token, std::span<uint16_t> row) {
  Rng rng = rng_of(token);
  const size_t first = draw_domain(rng) * size_t(shape_.layers);
  size_t at = 0;
  for (size_t layer = first; layer < first + size_t(shape_.layers); ++layer) {
    ++choice_;
    for (int64_t k = 0; k < shape_.top_k; ++k) row[at++] = draw(layers_[layer], rng);
  }
}

// An expert that this choice has not taken yet. Redrawing what was taken, and drawing among the rest after some
// redraws, both give each free expert its weight's share of the free weight.
uint16_t SyntheticRouter::draw(const Layer& layer, Rng& rng) {
  const auto take = [&](size_t expert) { return chosen_in_[expert] = choice_, uint16_t(expert); };
  for (int redraw = 0; redraw < kRedrawsMax; ++redraw)
    if (const size_t expert = layer.table.draw(rng); chosen_in_[expert] != choice_) return take(expert);

  double free_weight = 0;
  for (size_t expert = 0; expert < layer.weights.size(); ++expert)
    if (chosen_in_[expert] != choice_) free_weight += layer.weights[expert];
  double left = rng.uniform() * free_weight;
  size_t last_free = 0;
  for (size_t expert = 0; expert < layer.weights.size(); ++expert) {
    if (chosen_in_[expert] == choice_) continue;
    last_free = expert;
    left -= layer.weights[expert];
    if (left < 0) break;
  }
  return take(last_free);
}

RoutingTrace synthetic_trace(const SyntheticRouting& options, RoutingShape shape, uint64_t seed,
                             std::span<const SyntheticPart> parts) {
  RoutingTrace trace;
  trace.layers = shape.layers;
  trace.top_k = shape.top_k;
  trace.experts = shape.experts;
  trace.source = "synthetic";
  for (const SyntheticPart& part : parts) trace.tokens += part.tokens;
  const size_t row = size_t(shape.layers * shape.top_k);
  trace.ids.resize(size_t(trace.tokens) * row);
  size_t at = 0;
  for (const SyntheticPart& part : parts) {
    SyntheticRouter router(options, shape, seed, part.mixture);
    for (int64_t i = 0; i < part.tokens; ++i, ++at) {
      router.route(part.first_token + i, std::span(trace.ids).subspan(at * row, row));
      if (options.popularity == Popularity::domains) trace.domain.push_back(router.domain_of(part.first_token + i));
    }
  }
  return trace;
}

RoutingTrace synthetic_trace(const SyntheticRouting& options, RoutingShape shape, uint64_t seed, int64_t first_token,
                             int64_t tokens) {
  const SyntheticPart part{first_token, tokens, 0};
  return synthetic_trace(options, shape, seed, std::span(&part, 1));
}

}  // namespace moesim
