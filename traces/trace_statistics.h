// Everything that `moesim trace stats` says of a trace, gathered block by block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "traces/trace_input.h"

namespace moesim {

struct AffinityStatistics {
  int64_t pairs = 0;
  double mutual_information_bits = 0;
  double concentration = 0;
};

template <class Visitor>
void fields(Visitor& v, AffinityStatistics& s) {
  v.required("pairs", s.pairs, at_least(int64_t{0}), "tokens with a first choice in this layer and in the next");
  v.required("mutual_information_bits", s.mutual_information_bits, at_least(0.0),
             "what the first choice here tells of that in the next layer (plug-in estimate)");
  v.required("concentration", s.concentration, between(0.0, 1.0),
             "tokens that go where most with the same first choice go");
}

struct TokenTableStatistics {
  int64_t tested = 0;
  double accuracy = 0;
  double accuracy_by_popularity = 0;
};

template <class Visitor>
void fields(Visitor& v, TokenTableStatistics& s) {
  v.required("tested", s.tested, at_least(int64_t{0}), "tokens with a first choice in the second half of the requests");
  v.required("accuracy", s.accuracy, between(0.0, 1.0),
             "of their first choices, how many a table by token id predicts that knows the first half");
  v.required("accuracy_by_popularity", s.accuracy_by_popularity, between(0.0, 1.0),
             "how many the most frequent first choice of the first half predicts");
}

struct DriftStatistics {
  double neighbours = 0;
  double ends = 0;
  double chance = 0;
};

template <class Visitor>
void fields(Visitor& v, DriftStatistics& s) {
  v.required("neighbours", s.neighbours, between(0.0, 1.0),
             "share of the load that changes experts from a tenth of the trace to the next, on average");
  v.required("ends", s.ends, between(0.0, 1.0), "the same from the first tenth to the last");
  v.required("chance", s.chance, at_least(0.0),
             "what neighbours would differ by if the load did not drift and choices were independent");
}

struct LayerStatistics {
  int32_t layer = 0;
  std::vector<int64_t> load;
  int64_t dropped = 0;
  double max_over_mean = 0;
  std::optional<double> max_over_mean_ep8;
  double gini = 0;
  double entropy_bits = 0;
  double zipf_exponent = 0;
  double zipf_error = 0;
  double log_normal_sigma = 0;
  double log_normal_error = 0;
  std::optional<AffinityStatistics> to_next;
  std::optional<TokenTableStatistics> token_table;
  DriftStatistics drift;
};

template <class Visitor>
void fields(Visitor& v, LayerStatistics& s) {
  v.required("layer", s.layer, Range<int32_t>{}, "number of the layer in the model");
  v.required("load", s.load, at_least(int64_t{0}), "how often each expert was chosen");
  v.required("dropped", s.dropped, at_least(int64_t{0}), "choices that no expert computes");
  v.required("max_over_mean", s.max_over_mean, at_least(0.0), "load of the hottest expert over the mean");
  v.optional("max_over_mean_ep8", s.max_over_mean_ep8, at_least(0.0),
             "the same of 8 contiguous groups of experts, where they divide the experts");
  v.required("gini", s.gini, between(0.0, 1.0), "0: all equal; near 1: one expert has everything");
  v.required("entropy_bits", s.entropy_bits, at_least(0.0), "of the load");
  v.required("zipf_exponent", s.zipf_exponent, at_least(0.0), "of the best fit load ~ rank^-exponent");
  v.required("zipf_error", s.zipf_error, at_least(0.0), "root mean square of ln(load) - ln(fit)");
  v.required("log_normal_sigma", s.log_normal_sigma, at_least(0.0), "deviation of ln(load)");
  v.required("log_normal_error", s.log_normal_error, at_least(0.0), "root mean square of ln(load) - ln(fit)");
  v.optional("to_next", s.to_next, "affinity to the next layer");
  v.optional("token_table", s.token_table, "prediction by token id, where /token is recorded");
  v.required("drift", s.drift, "how the load changes over the trace");
}

struct DomainStatistics {
  int32_t domain = 0;
  std::string name;
  int64_t tokens = 0;
  std::vector<double> max_over_mean;
};

template <class Visitor>
void fields(Visitor& v, DomainStatistics& s) {
  v.required("domain", s.domain, at_least(0), "its number in /domain");
  v.required("name", s.name, "as the trace names it");
  v.required("tokens", s.tokens, at_least(int64_t{0}), "tokens of it");
  v.required("max_over_mean", s.max_over_mean, at_least(0.0),
             "load of the hottest expert over the mean within the domain, of each layer");
}

struct TraceStatistics {
  int64_t tokens = 0;
  int64_t layers = 0;
  int64_t top_k = 0;
  int64_t experts = 0;
  int64_t zero_experts = 0;
  std::optional<int64_t> requests;
  std::vector<std::string> arrays;
  std::string model;
  std::string source;
  std::string recorded;
  std::optional<double> tested_ids_seen;
  std::vector<LayerStatistics> by_layer;
  std::vector<DomainStatistics> by_domain;
  std::vector<std::string> notes;
};

template <class Visitor>
void fields(Visitor& v, TraceStatistics& s) {
  const auto count = at_least(int64_t{0});
  v.required("tokens", s.tokens, count, "tokens");
  v.required("layers", s.layers, count, "layers");
  v.required("top_k", s.top_k, count, "choices of a token in a layer");
  v.required("experts", s.experts, count, "routed experts");
  v.required("zero_experts", s.zero_experts, count, "zero-computation experts");
  v.optional("requests", s.requests, count, "requests, where they are recorded");
  v.required("arrays", s.arrays, "what is recorded");
  v.required("model", s.model, "the model");
  v.required("source", s.source, "where the tokens come from");
  v.required("recorded", s.recorded, "how the routing was recorded");
  v.optional("tested_ids_seen", s.tested_ids_seen, between(0.0, 1.0),
             "tokens tested with the table by token id whose id it knew");
  v.required("by_layer", s.by_layer, "each layer");
  v.required("by_domain", s.by_domain, "each domain, where they are recorded");
  v.required("notes", s.notes, "what was assumed or left out");
}

// Which statistics to gather: those of `trace info` need one walk through the trace, all of them two or three.
enum class Depth { brief, full };

// The most that is held in memory is about 1 GiB; what would need more is left out, and a note says so.
TraceStatistics trace_statistics(TraceInput& trace, Depth depth);

}  // namespace moesim
