// How well synthetic traces stand for the recorded one they were fitted to: by statistics, and by what a simulation of
// the two says. A generator that only has the right marginals would pass the first and fail the second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "traces/synthesis_fit.h"

namespace moesim {

struct SimulatedRouting {
  double step_time_s = 0;
  double gpu_load_max_over_mean = 0;
  double placement_gain = 0;
};

template <class Visitor>
void fields(Visitor& v, SimulatedRouting& s) {
  v.required("step_time_s", s.step_time_s, at_least(0.0), "mean step with experts in contiguous blocks, s");
  v.required("gpu_load_max_over_mean", s.gpu_load_max_over_mean, at_least(0.0),
             "rows of the most loaded GPU over the mean");
  v.required("placement_gain", s.placement_gain, Range<double>{},
             "share of that step that the placement `greedy` saves, made from the first half of the trace");
}

struct TraceComparison {
  std::string reference;
  std::string compared;
  TraceDifference difference;
  SimulatedRouting reference_simulated;
  SimulatedRouting compared_simulated;
  double step_time = 0;
  double placement_gain = 0;
};

template <class Visitor>
void fields(Visitor& v, TraceComparison& s) {
  v.required("reference", s.reference, "one trace");
  v.required("compared", s.compared, "the other one");
  v.required("difference", s.difference, "by statistics");
  v.required("reference_simulated", s.reference_simulated, "a simulated run with the one");
  v.required("compared_simulated", s.compared_simulated, "the same with the other");
  v.required("step_time", s.step_time, at_least(0.0), "relative difference of their step times");
  v.required("placement_gain", s.placement_gain, at_least(0.0), "difference of their placement gains");
}

struct CacheSize {
  int64_t experts = 0;
  double recorded = 0;
  double synthetic = 0;
};

template <class Visitor>
void fields(Visitor& v, CacheSize& s) {
  v.required("experts", s.experts, at_least(int64_t{1}), "that fit into the cache");
  v.required("recorded", s.recorded, between(0.0, 1.0), "accesses that hit, recorded trace");
  v.required("synthetic", s.synthetic, between(0.0, 1.0), "accesses that hit, synthetic trace");
}

struct SynthesisReport {
  std::string like;
  int64_t tokens = 0;
  int64_t documents = 0;
  bool drifts = false;
  double jump = 0;
  double swap = 0;
  int64_t tries = 0;
  double mean_run = 0;
  int64_t longest_run = 0;
  double new_rows = 0;
  std::vector<TraceComparison> comparisons;
  std::vector<CacheSize> lru_of_a_layer;
  std::vector<CacheSize> lru_of_all;
  std::vector<std::string> notes;
};

template <class Visitor>
void fields(Visitor& v, SynthesisReport& s) {
  const auto count = at_least(int64_t{0});
  v.required("like", s.like, "the recorded trace");
  v.required("tokens", s.tokens, count, "of the recorded trace, and of the synthetic one that it is compared with");
  v.required("documents", s.documents, count, "of the recorded trace");
  v.required("drifts", s.drifts, "whether its routing drifts within domains: then tenths are resampled one by one");
  v.required("jump", s.jump, between(0.0, 1.0), "fitted: after how many of the tokens another text goes on");
  v.required("swap", s.swap, between(0.0, 1.0), "fitted: after how many of the layers another token goes on");
  v.required("tries", s.tries, count, "rates tried, the most novel first");
  v.required("mean_run", s.mean_run, at_least(0.0), "tokens of a piece of recorded text, mean");
  v.required("longest_run", s.longest_run, count, "tokens of the longest piece");
  v.required("new_rows", s.new_rows, between(0.0, 1.0), "tokens whose layers come from several recorded tokens");
  v.required("comparisons", s.comparisons, "of pairs of traces");
  v.required("lru_of_a_layer", s.lru_of_a_layer, "hit rates of a cache for each layer, mean over layers");
  v.required("lru_of_all", s.lru_of_all, "hit rates of one cache for all layers, at some sizes");
  v.required("notes", s.notes, "what could not be compared");
}

// Compares in the recorded shape and length: recorded with synthetic; of two parts of the documents, the one with the
// other, which is as near as one can hope to come, and with a synthetic trace of the other at the same rates. Steps are
// simulated on eight H100 of one server with a model of OLMoE's widths.
SynthesisReport synthesis_report(const TraceTemplates& templates, const std::vector<SynthesisTry>& tries, uint64_t seed,
                                 const std::string& like);

std::string synthesis_text(const SynthesisReport& report);

}  // namespace moesim
