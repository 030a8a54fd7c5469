// Placement against a mixture to come that is not that of the past. The loads of every part of the past, such as the
// domains of its tokens, are balanced at once, not only their sum: a GPU whose experts are hot in different parts is
// never far above the mean, whatever the parts' shares.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/copy_filling.h"
#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

struct HedgedOptions {
  int64_t checks = 4'000'000;
  double past = 16;
};

template <class Visitor>
void fields(Visitor& v, HedgedOptions& s) {
  v.optional("checks", s.checks, between(int64_t{0}, int64_t{1'000'000'000'000}),
             "pairs of slots to look at in each layer for swaps that pay");
  v.optional("past", s.past, between(0.0, 1e6), "weight of the past as it was, against that of all its parts together");
}

// Few tokens say little of a part: so many choices an expert of the whole past are added to each.
constexpr double kPriorTokens = 8;

// Gains below this part of the strain are rounding errors, and could be made for ever.
constexpr double kLeastGain = 1e-9;

// The loads that a layer may get, each of mean 1 a GPU: the past, then its parts. Experts' are one after another.
struct Prospects {
  std::vector<double> weight;  // [prospect]
  std::vector<double> load;    // [expert * prospects + prospect]
};

void set_prospect(const PlacementInput& in, std::span<const double> load, size_t prospect, Prospects& p) {
  const double sum = std::accumulate(load.begin(), load.end(), 0.0);
  for (size_t expert = 0; expert < load.size() && sum > 0; ++expert)
    p.load[expert * p.weight.size() + prospect] = load[expert] * double(in.gpus) / sum;
}

Prospects prospects_of(const PlacementInput& in, size_t layer, double past_weight) {
  const std::vector<double> past(in.past_load[layer].begin(), in.past_load[layer].end());
  const double sum = std::accumulate(past.begin(), past.end(), 0.0);
  const size_t parts = in.past_load_of_part.size();
  Prospects p;
  p.weight.assign(parts + 1, parts > 0 ? 1 / double(parts) : 0);
  p.weight[0] = parts > 0 ? past_weight : 1;
  p.load.assign(past.size() * (parts + 1), 0);
  set_prospect(in, past, 0, p);
  for (size_t part = 0; part < parts && sum > 0; ++part) {
    std::vector<double> load;
    for (size_t expert = 0; expert < past.size(); ++expert)
      load.push_back(double(in.past_load_of_part[part][layer][expert]) +
                     kPriorTokens * double(past.size()) * past[expert] / sum);
    set_prospect(in, load, part + 1, p);
  }
  return p;
}

// The sum over prospects and GPUs of the GPU's time to the eighth power, which is nearly a sum of largest loads and, as
// these are not, tells of every swap what it is good for.
struct Strain {
  size_t prospects = 0;
  std::vector<double> weight;     // [prospect]
  std::vector<double> speed;      // [gpu] its time for a load of 1, over the mean
  std::vector<double> slot_load;  // [slot * prospects + prospect]
  std::vector<double> gpu_load;   // [gpu * prospects + prospect]
  std::vector<double> of_gpu;     // [gpu]
};

double eighth_power(double x) {
  x *= x;
  x *= x;
  return x * x;
}

// Of a GPU whose load changes by that of one slot less that of another.
double strain_after(const Strain& s, size_t gpu, const double* more, const double* less) {
  const double* const load = s.gpu_load.data() + gpu * s.prospects;
  double sum = 0;
  for (size_t p = 0; p < s.prospects; ++p)
    sum += s.weight[p] * eighth_power((load[p] + more[p] - less[p]) * s.speed[gpu]);
  return sum;
}

const double* load_of_slot(const Strain& s, size_t slot) { return s.slot_load.data() + slot * s.prospects; }

Strain strain_of(const Prospects& p, const SlotSearch& search, const std::vector<double>& token_s) {
  Strain s;
  s.prospects = p.weight.size();
  s.weight = p.weight;
  const double mean_s = std::accumulate(token_s.begin(), token_s.end(), 0.0) / double(token_s.size());
  for (const double seconds : token_s) s.speed.push_back(mean_s > 0 ? seconds / mean_s : 1);
  s.slot_load.assign(search.expert.size() * s.prospects, 0);
  s.gpu_load.assign(token_s.size() * s.prospects, 0);
  for (size_t slot = 0; slot < search.expert.size(); ++slot) {
    if (search.expert[slot] == kEmptySlot) continue;
    const size_t expert = size_t(search.expert[slot]);
    const double copies = double(search.slots_of[expert].size());
    for (size_t k = 0; k < s.prospects; ++k) {
      s.slot_load[slot * s.prospects + k] = p.load[expert * s.prospects + k] / copies;
      s.gpu_load[search.places->gpu[slot] * s.prospects + k] += s.slot_load[slot * s.prospects + k];
    }
  }
  const std::vector<double> nothing(s.prospects, 0);
  for (size_t gpu = 0; gpu < token_s.size(); ++gpu)
    s.of_gpu.push_back(strain_after(s, gpu, nothing.data(), nothing.data()));
  return s;
}

double total(const Strain& s) { return std::accumulate(s.of_gpu.begin(), s.of_gpu.end(), 0.0); }

double strain_after_swap(const Strain& s, const SlotSearch& search, size_t a, size_t b) {
  const double* const load_a = load_of_slot(s, a);
  const double* const load_b = load_of_slot(s, b);
  return strain_after(s, search.places->gpu[a], load_b, load_a) +
         strain_after(s, search.places->gpu[b], load_a, load_b);
}

void swap_both(Strain& s, SlotSearch& search, size_t a, size_t b) {
  const size_t gpu_a = search.places->gpu[a];
  const size_t gpu_b = search.places->gpu[b];
  s.of_gpu[gpu_a] = strain_after(s, gpu_a, load_of_slot(s, b), load_of_slot(s, a));
  s.of_gpu[gpu_b] = strain_after(s, gpu_b, load_of_slot(s, a), load_of_slot(s, b));
  for (size_t p = 0; p < s.prospects; ++p) {
    double& load_a = s.slot_load[a * s.prospects + p];
    double& load_b = s.slot_load[b * s.prospects + p];
    s.gpu_load[gpu_a * s.prospects + p] += load_b - load_a;
    s.gpu_load[gpu_b * s.prospects + p] += load_a - load_b;
    std::swap(load_a, load_b);
  }
  swap_slots(search, a, b);
}

// Swaps as long as one lowers the strain, for each slot the best of its swaps.
void relax(Strain& s, SlotSearch& search, int64_t checks) {
  const std::vector<size_t>& gpu = search.places->gpu;
  const size_t slots = search.expert.size();
  size_t without_gain = 0;  // slots in a row
  for (size_t a = 0; without_gain < slots && checks > 0; a = (a + 1) % slots) {
    const double least_gain = kLeastGain * total(s);
    double best = least_gain;
    size_t partner = a;
    for (size_t b = 0; b < slots; ++b) {
      if (gpu[a] == gpu[b] || search.expert[a] == search.expert[b]) continue;
      const double gain = s.of_gpu[gpu[a]] + s.of_gpu[gpu[b]] - strain_after_swap(s, search, a, b);
      if (gain <= best || !may_swap(search, a, b)) continue;
      best = gain;
      partner = b;
    }
    checks -= int64_t(slots);
    ++without_gain;
    if (partner == a) continue;
    swap_both(s, search, a, partner);
    without_gain = 0;
  }
}

// Copies go to the experts that are hottest in any prospect: they are what may surprise.
std::vector<double> hottest(const Prospects& p) {
  const size_t prospects = p.weight.size();
  std::vector<double> most;
  for (size_t first = 0; first < p.load.size(); first += prospects)
    most.push_back(*std::max_element(p.load.begin() + ptrdiff_t(first), p.load.begin() + ptrdiff_t(first + prospects)));
  return most;
}

Placement place_hedged(const PlacementInput& in, const HedgedOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  const PlacementObjective objective = placement_objective(in);
  const SlotPlaces places = slot_places(in);
  const SlotMap contiguous = slot_map(contiguous_placement(in), slots_of_gpus(in));
  std::vector<Prospects> prospects;
  Placement filled;
  for (size_t layer = 0; layer < in.past_load.size(); ++layer) {
    prospects.push_back(prospects_of(in, layer, options.past));
    const std::vector<double> load = hottest(prospects.back());
    filled.hosts.push_back(fill_layer(in, places, objective.token_s, load, copies_of(load, slots_total(in), in.gpus)));
  }
  SlotMap layers = slot_map(filled, slots_of_gpus(in));
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    SlotSearch search = slot_search(in, places, objective, layer, layers[layer]);
    Strain strain = strain_of(prospects[layer], search, objective.token_s);
    relax(strain, search, options.checks);
    const SlotSearch start = slot_search(in, places, objective, layer, contiguous[layer]);
    const bool is_better = total(strain) < total(strain_of(prospects[layer], start, objective.token_s));
    layers[layer] = is_better ? search.expert : contiguous[layer];
  }
  return placement_of(layers, slots_of_gpus(in), in.experts);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "hedged", "copies and swaps that balance every part of the past, such as its domains, not only their sum",
    place_hedged, {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
