#include "traces/presets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/config/suggest.h"
#include "sim/core/check.h"
#include "sim/core/random.h"
#include "traces/presets/published_loads.h"

namespace moesim {
namespace {

constexpr int64_t kDocuments = 160;
constexpr int64_t kDocumentTokens = 512;
constexpr int64_t kIds = 8192;         // of a domain
constexpr double kIdExponent = 0.9;    // ten ids make 20 to 25 % of the text, a hundred 45 %, as in the source's text
constexpr double kRepeated = 0.2;      // of the tokens: an id of the recent past
constexpr uint64_t kRecent = 64;       // tokens
constexpr int64_t kFrequentIds = 512;  // whose experts are chosen so that loads come out right
constexpr int64_t kBalancingIds = 16;  // the most frequent ones
constexpr int kCandidates = 16;        // places for each of those
constexpr double kGolden = 0.6180339887498949;  // steps of it fill the unit interval evenly
constexpr uint64_t kSeed = 20240903;            // presets are the same for everyone

double fraction(double x) { return x - std::floor(x); }

// A token's experts in a layer by systematic sampling (Madow 1949): experts in a random order fill stretches as long as
// their probability, and those are chosen that hold u, u + 1, ... u + k - 1. Each is then chosen with its probability.
struct Layer {
  std::vector<uint16_t> order;
  std::vector<double> ends;  // of the stretches, in that order; the last is k

  void choose(double u, double turn, std::span<uint16_t> chosen) const {
    const size_t turned = size_t(turn * double(chosen.size()));
    size_t place = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      while (place + 1 < ends.size() && ends[place] <= u + double(i)) ++place;
      chosen[(i + turned) % chosen.size()] = order[place];
      place = std::min(place + 1, ends.size() - 1);
    }
  }
};

// No expert is chosen by more than all tokens, so no stretch is longer than 1 and all chosen ones differ.
std::vector<double> probabilities(const TracePreset& preset, size_t domain, size_t published) {
  const std::vector<int32_t>& load = (*preset.loads)[domain][published];
  const double sum = double(std::accumulate(load.begin(), load.end(), int64_t{0}));
  std::vector<double> probability;
  for (const int32_t count : load) probability.push_back(std::min(1.0, double(preset.top_k) * double(count) / sum));
  return probability;
}

struct LayerPlan {
  size_t published = 0;  // the nearest published layer
  double by_id = 0;
  std::vector<uint16_t> order;
  std::vector<uint16_t> number;  // of each published expert in this layer
};

std::vector<LayerPlan> plan_layers(const TracePreset& preset) {
  std::vector<LayerPlan> plans;
  const std::vector<int64_t>& published = preset.published_layers;
  for (int64_t layer = 0; layer < preset.layers; ++layer) {
    Rng rng(splitmix64(kSeed + uint64_t(layer)));
    LayerPlan plan;
    for (size_t i = 0; i < published.size(); ++i)
      if (std::abs(published[i] - layer) < std::abs(published[plan.published] - layer)) plan.published = i;
    const size_t above = std::min<size_t>(
        size_t(std::lower_bound(published.begin(), published.end(), layer) - published.begin()), published.size() - 1);
    const size_t below = above == 0 || layer > published.back() ? above : above - 1;
    const double span = double(std::max<int64_t>(1, published[above] - published[below]));
    const double part = std::clamp(double(layer - published[below]) / span, 0.0, 1.0);
    plan.by_id = preset.by_id[below] + (preset.by_id[above] - preset.by_id[below]) * part;
    plan.order.resize(size_t(preset.experts));
    std::iota(plan.order.begin(), plan.order.end(), uint16_t{0});
    plan.number = plan.order;
    rng.shuffle(std::span(plan.order));
    if (published[plan.published] != layer) rng.shuffle(std::span(plan.number));
    plans.push_back(std::move(plan));
  }
  return plans;
}

Layer layer_of(const TracePreset& preset, const LayerPlan& plan, size_t domain) {
  const std::vector<double> probability = probabilities(preset, domain, plan.published);
  Layer layer;
  double end = 0;
  for (const uint16_t expert : plan.order) {
    end += probability[expert];
    layer.order.push_back(plan.number[expert]);
    layer.ends.push_back(end);
  }
  return layer;
}

// Ids that carry one place through all layers, so that layers tell of each other; the most frequent ones never do.
bool is_shared(const TracePreset& preset, size_t id) {
  return int64_t(id) >= kBalancingIds && double(splitmix64(id) >> 11) * 0x1.0p-53 < preset.ids_through_layers;
}

void take_from(std::vector<double>& missing, std::span<const uint16_t> chosen, double weight) {
  for (const uint16_t expert : chosen) missing[expert] -= weight;
}

// Where each id of a domain chooses its experts. Frequent ids weigh much, so the places of those that are free are
// chosen one after another such that all together leave the loads nearest to what they shall be.
std::vector<double> places_of_ids(const TracePreset& preset, const Layer& layer, size_t domain,
                                  std::span<const double> weights, Rng& rng) {
  std::vector<double> places(weights.size(), 0);
  std::vector<double> missing(size_t(preset.experts), 0);
  std::vector<uint16_t> chosen(size_t(preset.top_k), 0);
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (size_t i = 0; i < layer.order.size(); ++i)
    missing[layer.order[i]] = all * (layer.ends[i] - (i == 0 ? 0 : layer.ends[i - 1]));
  for (size_t id = 0; id < weights.size(); ++id) {
    if (!is_shared(preset, id)) continue;
    places[id] = double(splitmix64(id * preset.domains.size() + domain + kSeed) >> 11) * 0x1.0p-53;
    layer.choose(places[id], 0, chosen);
    take_from(missing, chosen, weights[id]);
  }
  for (size_t id = 0; id < weights.size(); ++id) {
    if (is_shared(preset, id)) continue;
    double most_met = -1e300;
    for (int candidate = 0; candidate < (int64_t(id) < kFrequentIds ? kCandidates : 1); ++candidate) {
      const double place = rng.uniform();
      layer.choose(place, 0, chosen);
      double met = 0;
      for (const uint16_t expert : chosen) met += missing[expert];
      if (met <= most_met) continue;
      most_met = met;
      places[id] = place;
    }
    layer.choose(places[id], 0, chosen);
    take_from(missing, chosen, weights[id]);
  }
  return places;
}

// Ids follow Zipf's law within a domain, and some are repeated soon.
void draw_ids(const std::vector<double>& weights, RoutingTrace& trace, Rng& rng) {
  const AliasTable table(weights);
  for (int64_t token = 0; token < trace.tokens; ++token) {
    const int64_t position = token % kDocumentTokens;
    const int32_t domain = int32_t(token / kDocumentTokens % int64_t(trace.domains.size()));
    const uint64_t back = 1 + rng.below(kRecent);
    const bool repeats = rng.uniform() < kRepeated && int64_t(back) <= position;
    const int32_t drawn = int32_t(table.draw(rng)) + domain * int32_t(kIds);
    trace.token.push_back(repeats ? trace.token[size_t(token) - back] : drawn);
    trace.request.push_back(int32_t(token / kDocumentTokens));
    trace.position.push_back(int32_t(position));
    trace.domain.push_back(domain);
  }
}

void draw_layer(const TracePreset& preset, const LayerPlan& plan, int64_t number, std::span<const double> weights,
                RoutingTrace& trace) {
  Rng rng(splitmix64(kSeed ^ splitmix64(uint64_t(number))));
  std::vector<Layer> layers;
  std::vector<std::vector<double>> places;
  for (size_t domain = 0; domain < preset.domains.size(); ++domain) {
    layers.push_back(layer_of(preset, plan, domain));
    places.push_back(places_of_ids(preset, layers.back(), domain, weights, rng));
  }
  for (int64_t token = 0; token < trace.tokens; ++token) {
    const size_t domain = size_t(trace.domain[size_t(token)]);
    const size_t id = size_t(trace.token[size_t(token)]) % size_t(kIds);
    double place = fraction(double(token) * kGolden + double(number) / double(preset.layers));
    if (rng.uniform() < plan.by_id)
      place = places[domain][id];
    else if (rng.uniform() >= preset.by_token)
      place = rng.uniform();
    uint16_t* chosen = trace.ids.data() + (token * trace.layers + number) * trace.top_k;
    layers[domain].choose(place, fraction(place * 97), {chosen, size_t(trace.top_k)});
  }
}

}  // namespace

std::span<const TracePreset> presets() {
  static const std::vector<TracePreset> all = {
      {"mixtral-8x7b",
       "loads, id dependence and affinity of Mixtral-8x7B in layers 0, 7 and 15, published with OLMoE",
       32,
       8,
       2,
       {"arxiv", "book", "c4", "github", "wikipedia"},
       {0, 7, 15},
       &kMixtralLoads,
       {0.45, 0.41, 0.49},
       1.0,
       0.74},
      {"olmoe-1b-7b",
       "loads, id dependence and affinity of OLMoE-1B-7B in layers 0, 7 and 15, published with OLMoE",
       16,
       64,
       8,
       {"arxiv", "book", "c4", "github", "wikipedia"},
       {0, 7, 15},
       &kOlmoeLoads,
       {0.40, 0.55, 0.60},
       1.0,
       0.775}};
  return all;
}

const TracePreset* find_preset(const std::string& name) {
  for (const TracePreset& preset : presets())
    if (name == preset.name) return &preset;
  return nullptr;
}

void check_preset(const std::string& name, const std::function<void(const std::string&)>& fault) {
  if (find_preset(name) != nullptr) return;
  std::vector<std::string> names;
  for (const TracePreset& preset : presets()) names.push_back(preset.name);
  fault(fmt::format("unknown preset {}{}; known are {}", in_quotes(name), suggestion(name, names),
                    fmt::join(names, ", ")));
}

RoutingTrace preset_trace(const TracePreset& preset) {
  RoutingTrace trace;
  trace.tokens = kDocuments * kDocumentTokens;
  trace.layers = preset.layers;
  trace.experts = preset.experts;
  trace.top_k = preset.top_k;
  trace.domains = preset.domains;
  trace.model = preset.name;
  trace.source = preset.source;
  trace.ids.resize(size_t(trace.tokens * trace.layers * trace.top_k));
  const std::vector<double> weights = zipf_weights(size_t(kIds), kIdExponent);
  Rng rng(kSeed);
  draw_ids(weights, trace, rng);
  const std::vector<LayerPlan> plans = plan_layers(preset);
  for (int64_t layer = 0; layer < trace.layers; ++layer)
    draw_layer(preset, plans[size_t(layer)], layer, weights, trace);
  return trace;
}

}  // namespace moesim
