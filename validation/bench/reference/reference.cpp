#include "validation/bench/reference/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/core/check.h"
#include "validation/bench/reference/parallel.h"

namespace moesim::bench::reference {
namespace {

// The `k` best of `candidates` by falling value, of equal ones the lower id first.
std::vector<int32_t> best_of(std::vector<int32_t> candidates, std::span<const double> values, int k) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](int32_t a, int32_t b) { return values[size_t(a)] > values[size_t(b)]; });
  candidates.resize(size_t(k));
  return candidates;
}

std::vector<int32_t> all_below(int count) {
  std::vector<int32_t> ids(size_t(count), 0);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// The experts of the groups whose two best add up to most.
std::vector<int32_t> experts_of_top_groups(std::span<const double> choices, const GroupGate& gate) {
  const size_t size = size_t(gate.experts / gate.groups);
  std::vector<double> group_scores;
  for (size_t group = 0; group < size_t(gate.groups); ++group) {
    std::vector<double> in_group(choices.begin() + std::ptrdiff_t(group * size),
                                 choices.begin() + std::ptrdiff_t((group + 1) * size));
    std::sort(in_group.rbegin(), in_group.rend());
    group_scores.push_back(in_group[0] + in_group[1]);
  }
  std::vector<int32_t> experts;
  std::vector<int32_t> kept = best_of(all_below(gate.groups), group_scores, gate.top_groups);
  std::sort(kept.begin(), kept.end());
  for (const int32_t group : kept)
    for (size_t i = 0; i < size; ++i) experts.push_back(int32_t(size_t(group) * size + i));
  return experts;
}

double silu(double x) { return x / (1 + std::exp(-x)); }

}  // namespace

float round_to_bf16(float x) {
  if (std::isnan(x)) return x;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
  return std::bit_cast<float>(rounded & 0xFFFF0000);
}

TopK softmax_top_k(std::span<const float> scores, int tokens, int experts, int k, Normalize normalize) {
  CHECK(scores.size() == size_t(tokens) * size_t(experts));
  TopK result;
  for (size_t token = 0; token < size_t(tokens); ++token) {
    const auto row = scores.subspan(token * size_t(experts), size_t(experts));
    const std::vector<double> values(row.begin(), row.end());
    const double highest = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (const double value : values) sum += std::exp(value - highest);
    const std::vector<int32_t> chosen = best_of(all_below(experts), values, k);
    double chosen_sum = 0;
    for (const int32_t expert : chosen) chosen_sum += std::exp(values[size_t(expert)] - highest);
    for (const int32_t expert : chosen) {
      result.expert_ids.push_back(expert);
      result.weights.push_back(std::exp(values[size_t(expert)] - highest) /
                               (normalize == Normalize::yes ? chosen_sum : sum));
    }
  }
  return result;
}

TopK sigmoid_group_top_k(std::span<const float> scores, std::span<const float> bias, int tokens,
                         const GroupGate& gate) {
  CHECK(scores.size() == size_t(tokens) * size_t(gate.experts));
  CHECK(bias.size() == size_t(gate.experts));
  TopK result;
  for (size_t token = 0; token < size_t(tokens); ++token) {
    std::vector<double> sigmoids;
    std::vector<double> choices;
    for (size_t expert = 0; expert < size_t(gate.experts); ++expert) {
      sigmoids.push_back(1 / (1 + std::exp(-double(scores[token * size_t(gate.experts) + expert]))));
      choices.push_back(sigmoids.back() + double(bias[expert]));
    }
    const std::vector<int32_t> chosen = best_of(experts_of_top_groups(choices, gate), choices, gate.k);
    double sum = 0;
    for (const int32_t expert : chosen) sum += sigmoids[size_t(expert)];
    for (const int32_t expert : chosen) {
      result.expert_ids.push_back(expert);
      result.weights.push_back(sigmoids[size_t(expert)] / sum * double(gate.scale));
    }
  }
  return result;
}

Order order_by_expert(std::span<const int32_t> expert_ids, int tokens, int k, int experts) {
  CHECK(expert_ids.size() == size_t(tokens) * size_t(k));
  Order order;
  order.counts.resize(size_t(experts));
  for (const int32_t expert : expert_ids) ++order.counts[size_t(expert)];
  order.offsets.push_back(0);
  for (const int32_t count : order.counts) order.offsets.push_back(order.offsets.back() + count);
  std::vector<int32_t> choices = all_below(tokens * k);
  std::stable_sort(choices.begin(), choices.end(),
                   [&](int32_t a, int32_t b) { return expert_ids[size_t(a)] < expert_ids[size_t(b)]; });
  order.slot_of_choice.resize(choices.size());
  for (size_t slot = 0; slot < choices.size(); ++slot) {
    order.row_of_slot.push_back(choices[slot] / k);
    order.slot_of_choice[size_t(choices[slot])] = int32_t(slot);
  }
  return order;
}

std::vector<double> gather_rows(std::span<const float> x, std::span<const int32_t> source_of_row, int width) {
  std::vector<double> out;
  for (const int32_t source : source_of_row) {
    const auto row = x.subspan(size_t(source) * size_t(width), size_t(width));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

std::vector<double> unpermute(std::span<const float> results, std::span<const int32_t> slot_of_choice,
                              std::span<const float> weights, int tokens, int k, int width) {
  CHECK(slot_of_choice.size() == size_t(tokens) * size_t(k));
  CHECK(weights.size() == slot_of_choice.size());
  std::vector<double> out(size_t(tokens) * size_t(width));
  for (size_t choice = 0; choice < slot_of_choice.size(); ++choice)
    for (size_t i = 0; i < size_t(width); ++i)
      out[choice / size_t(k) * size_t(width) + i] +=
          double(weights[choice]) * double(results[size_t(slot_of_choice[choice]) * size_t(width) + i]);
  return out;
}

std::vector<double> swiglu(std::span<const float> x, int rows, int f) {
  CHECK(x.size() == size_t(rows) * size_t(f) * 2);
  std::vector<double> out;
  for (size_t row = 0; row < size_t(rows); ++row)
    for (size_t i = 0; i < size_t(f); ++i)
      out.push_back(silu(double(x[row * 2 * size_t(f) + i])) * double(x[(row * 2 + 1) * size_t(f) + i]));
  return out;
}

std::vector<double> rms_norm(std::span<const float> x, std::span<const float> gain, int rows, int width,
                             double epsilon) {
  CHECK(x.size() == size_t(rows) * size_t(width));
  std::vector<double> out;
  for (size_t row = 0; row < size_t(rows); ++row) {
    double squares = 0;
    for (size_t i = 0; i < size_t(width); ++i)
      squares += double(x[row * size_t(width) + i]) * double(x[row * size_t(width) + i]);
    const double root = std::sqrt(squares / width + epsilon);
    for (size_t i = 0; i < size_t(width); ++i)
      out.push_back(double(x[row * size_t(width) + i]) / root * double(gain[i]));
  }
  return out;
}

std::vector<double> grouped_gemm(std::span<const float> a, std::span<const float> w, std::span<const int32_t> offsets,
                                 const GroupedGemm& shape) {
  const size_t n = size_t(shape.n);
  const size_t k = size_t(shape.k);
  CHECK(offsets.size() == size_t(shape.groups) + 1);
  CHECK(a.size() == size_t(shape.rows) * k);
  CHECK(w.size() == size_t(shape.groups) * n * k);
  std::vector<double> c(size_t(shape.rows) * n);
  parallel_for(shape.rows, [&](int64_t row) {
    const auto after = std::upper_bound(offsets.begin(), offsets.end(), int32_t(row));
    const size_t group = size_t(after - offsets.begin()) - 1;
    for (size_t column = 0; column < n; ++column) {
      double sum = 0;
      for (size_t i = 0; i < k; ++i) sum += double(a[size_t(row) * k + i]) * double(w[(group * n + column) * k + i]);
      c[size_t(row) * n + column] = sum;
    }
  });
  return c;
}

double relative_error(std::span<const float> out, std::span<const double> expected) {
  if (out.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    difference += (double(out[i]) - expected[i]) * (double(out[i]) - expected[i]);
    norm += expected[i] * expected[i];
  }
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

}  // namespace moesim::bench::reference
