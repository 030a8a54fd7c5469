// What the kernels should compute, in float64 on the host, written as plainly as the definitions. Inputs are floats
// that have been rounded to what the kernel gets. Layouts and limits are those of validation/bench/kernels/kernels.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "validation/bench/kernels/shapes.h"

namespace moesim::bench::reference {

// The nearest bfloat16, of two equally near the one with an even last bit. NaN stays NaN.
float round_to_bf16(float x);

struct TopK {
  std::vector<double> weights;      // [tokens, k]
  std::vector<int32_t> expert_ids;  // [tokens, k]
};
TopK softmax_top_k(std::span<const float> scores, int tokens, int experts, int k, Normalize normalize);
TopK sigmoid_group_top_k(std::span<const float> scores, std::span<const float> bias, int tokens, const GroupGate& gate);

struct Order {
  std::vector<int32_t> counts;
  std::vector<int32_t> offsets;
  std::vector<int32_t> row_of_slot;
  std::vector<int32_t> slot_of_choice;
};
Order order_by_expert(std::span<const int32_t> expert_ids, int tokens, int k, int experts);

std::vector<double> gather_rows(std::span<const float> x, std::span<const int32_t> source_of_row, int width);
std::vector<double> unpermute(std::span<const float> results, std::span<const int32_t> slot_of_choice,
                              std::span<const float> weights, int tokens, int k, int width);
std::vector<double> swiglu(std::span<const float> x, int rows, int f);
std::vector<double> rms_norm(std::span<const float> x, std::span<const float> gain, int rows, int width,
                             double epsilon);

// c [rows, n] = a [rows, k] times the transpose of w [group][n, k]. A dense GEMM has one group.
std::vector<double> grouped_gemm(std::span<const float> a, std::span<const float> w, std::span<const int32_t> offsets,
                                 const GroupedGemm& shape);

// Causal, where the queries are the last of the kv positions; so one query sees every key.
std::vector<double> attention(std::span<const float> queries, std::span<const float> keys,
                              std::span<const float> values, const Attention& shape);

// ||out - expected|| / ||expected||, infinite where `out` has another size or holds what is not a number. Where all
// that is expected is 0: the norm of `out`.
double relative_error(std::span<const float> out, std::span<const double> expected);

}  // namespace moesim::bench::reference
