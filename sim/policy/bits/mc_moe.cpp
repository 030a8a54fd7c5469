// MC-MoE's widths: in each MoE layer those that cost least, where an expert's cost is the error that few bits make of
// it, weighted by how often and with what weights of the gate tokens choose it.

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "sim/config/error.h"
#include "sim/core/math.h"
#include "sim/moe/offload/expert_importance.h"
#include "sim/policy/bits/bit_allocation.h"

namespace moesim {
namespace {

enum class BitSearch : uint8_t { table, program };

constexpr auto enum_names(BitSearch) {
  return std::to_array<std::pair<BitSearch, const char*>>(
      {{BitSearch::table, "table"}, {BitSearch::program, "program"}});
}

// The exponents are those of the published code; its paper has another one of the error.
struct McMoeOptions : IlpOptions {
  McMoeOptions() { gap = Percentage{0}; }

  std::string importance;
  double mean = 2.5;
  double choices_exponent = 1;
  double weight_exponent = 1.5;
  double error_exponent = 1;
  BitSearch search = BitSearch::table;
};

template <class Visitor>
void fields(Visitor& v, McMoeOptions& s) {
  v.optional("importance", s.importance,
             "file with `choices`, `gate_weight`, and `error` at some `bits`, relative to the scenario file; without "
             "one choices are the past's, weights are equal, and each bit of 1 to 3 halves the error");
  v.optional("mean", s.mean, bit_range(), "bits of a weight, at most, mean over the experts of a layer");
  v.optional("choices_exponent", s.choices_exponent, between(0.0, 8.0), "of an expert's share of choices in its cost");
  v.optional("weight_exponent", s.weight_exponent, between(0.0, 8.0), "of its share of the gate's weights");
  v.optional("error_exponent", s.error_exponent, between(0.0, 8.0), "of its error");
  v.optional("search", s.search, "exact both: `table` of all sums of bits, or integer `program` for the solver");
  fields(v, static_cast<IlpOptions&>(s));
}

// What a layer's widths are decided from, for each expert.
struct LayerCosts {
  std::vector<double> choices;
  std::vector<double> weight;
  std::vector<std::vector<double>> error;  // [expert][width]
};

LayerCosts costs_of(const BitInput& in, const ExpertImportance& known, size_t layer) {
  const size_t experts = size_t(in.experts);
  const auto past = in.past_load.subspan(layer * experts, experts);
  LayerCosts costs;
  costs.choices = known.choices.empty() ? std::vector<double>(past.begin(), past.end()) : known.choices[layer];
  costs.weight = known.gate_weight.empty() ? std::vector<double>(experts, 1) : known.gate_weight[layer];
  costs.error =
      known.error.empty() ? std::vector<std::vector<double>>(experts, {0.5, 0.25, 0.125}) : known.error[layer];
  return costs;
}

// Equal shares where there is nothing to share.
double share(const std::vector<double>& values, size_t i) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return sum > 0 ? values[i] / sum : 1 / double(values.size());
}

std::vector<double> cost_table(const LayerCosts& costs, const McMoeOptions& options) {
  std::vector<double> table;
  for (size_t expert = 0; expert < costs.error.size(); ++expert) {
    const double factor = exact_pow(share(costs.choices, expert), options.choices_exponent) *
                          exact_pow(share(costs.weight, expert), options.weight_exponent);
    for (const double error : costs.error[expert]) table.push_back(factor * exact_pow(error, options.error_exponent));
  }
  return table;
}

std::vector<int32_t> widths_of(const ExpertImportance& known, const std::string& path) {
  if (known.error.empty()) return {1, 2, 3};
  std::vector<Fault> faults;
  std::vector<int32_t> widths;
  for (const double bits : known.bits) {
    widths.push_back(int32_t(std::llround(bits)));
    if (double(widths.back()) != bits) faults.push_back({0, "/bits", fmt::format("{} is not a whole number", bits)});
  }
  if (widths.size() < 2) faults.push_back({0, "/bits", "mc_moe chooses among two widths at least"});
  throw_if_any(path, std::move(faults));
  return widths;
}

std::vector<double> bits_mc_moe(const BitInput& in, const McMoeOptions& options, Rng&) {
  constexpr double kRounding = 1e-9;
  const ExpertImportance known = importance_of(in, options.importance).value_or(ExpertImportance{});
  BitProblem problem{widths_of(known, importance_path(in, options.importance)), {}, 0};
  problem.budget = int32_t(std::floor(options.mean * double(in.experts) + kRounding));
  const int64_t least = least_budget(problem.widths, in.experts);
  if (in.experts < 2 || problem.budget < least)
    throw ConfigError("mc_moe",
                      fmt::format("one expert of {} bits and one of {} must be among the {} of a layer: \"mean\" "
                                  "is at least {}",
                                  problem.widths.back(), problem.widths[problem.widths.size() - 2], in.experts,
                                  double(least) / double(in.experts)));
  std::vector<double> bits;
  for (size_t layer = 0; layer < size_t(in.layers); ++layer) {
    problem.cost = cost_table(costs_of(in, known, layer), options);
    std::optional<std::vector<int32_t>> chosen;
    if (options.search == BitSearch::program) chosen = widths_by_program(problem, options);
    if (!chosen) chosen = widths_by_table(problem);
    for (const int32_t width : *chosen) bits.push_back(problem.widths[size_t(width)]);
  }
  return bits;
}

[[maybe_unused]] const bool registered = Registry<BitPolicy>::instance().add(
    "mc_moe", "in each layer the widths of least error, weighted by choices and by the gate", bits_mc_moe);

}  // namespace
}  // namespace moesim
