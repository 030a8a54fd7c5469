#include "validation/bench/checks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "validation/bench/checker.h"

namespace moesim::bench {
namespace {

struct SoftmaxCase {
  int tokens;
  int experts;
  int k;
  Normalize normalize;
};

void check_softmax(Checker& checker, const SoftmaxCase& c) {
  // Steps of 1/16, so that many scores are equal and the rule for ties is tested, and none are nearly equal.
  std::vector<float> scores = checker.normal_floats(size_t(c.tokens) * size_t(c.experts));
  for (float& score : scores) score = std::round(score * 16) / 16;
  const auto expected = reference::softmax_top_k(scores, c.tokens, c.experts, c.k, c.normalize);
  const auto input = checker.upload(scores);
  const auto weights = checker.output<float>(expected.weights.size());
  const auto ids = checker.output<int32_t>(expected.expert_ids.size());
  softmax_top_k(input.data(), c.tokens, c.experts, c.k, c.normalize, weights.data(), ids.data(), checker.device.stream);
  const std::string shape = fmt::format("tokens {} experts {} k {}{}", c.tokens, c.experts, c.k,
                                        c.normalize == Normalize::yes ? " normalised" : "");
  checker.compare("softmax_top_k weights", shape, weights, expected.weights);
  checker.compare_integers("softmax_top_k experts", shape, ids, expected.expert_ids);
}

enum class Scores { normal, tied };

// Tied: equal sigmoids, and a bias in steps of 1/8, so that experts and groups are equal exactly and often.
void check_sigmoid(Checker& checker, int tokens, const GroupGate& gate, Scores kind) {
  std::vector<float> scores(size_t(tokens) * size_t(gate.experts), 0.0F);
  if (kind == Scores::normal) scores = checker.normal_floats(scores.size());
  std::vector<float> bias = checker.normal_floats(size_t(gate.experts));
  for (float& value : bias) value = kind == Scores::normal ? value * 0.1F : std::round(value * 2) / 8;
  const auto expected = reference::sigmoid_group_top_k(scores, bias, tokens, gate);
  const auto input = checker.upload(scores);
  const auto bias_input = checker.upload(bias);
  const auto weights = checker.output<float>(expected.weights.size());
  const auto ids = checker.output<int32_t>(expected.expert_ids.size());
  sigmoid_group_top_k(input.data(), bias_input.data(), tokens, gate, weights.data(), ids.data(), checker.device.stream);
  const std::string shape = fmt::format("tokens {} experts {} k {} groups {} of {}{}", tokens, gate.experts, gate.k,
                                        gate.top_groups, gate.groups, kind == Scores::tied ? " tied" : "");
  checker.compare("sigmoid_group_top_k weights", shape, weights, expected.weights);
  checker.compare_integers("sigmoid_group_top_k experts", shape, ids, expected.expert_ids);
}

void check_order_case(Checker& checker, int tokens, int k, int experts) {
  std::vector<int32_t> ids(size_t(tokens) * size_t(k));
  for (int32_t& id : ids) {
    const double u = checker.rng.uniform();
    id = int32_t(u * u * u * experts);  // low ids are chosen more often
  }
  const reference::Order expected = reference::order_by_expert(ids, tokens, k, experts);
  const auto input = checker.upload(ids);
  const auto counts = checker.output<int32_t>(expected.counts.size());
  const auto offsets = checker.output<int32_t>(expected.offsets.size());
  const auto rows = checker.output<int32_t>(ids.size());
  const auto slots = checker.output<int32_t>(ids.size());
  const size_t bytes = order_by_expert_bytes(tokens, k, experts);
  const auto workspace = checker.output<unsigned char>(bytes);
  order_by_expert(input.data(), tokens, k, experts, {counts.data(), offsets.data(), rows.data(), slots.data()},
                  workspace.data(), bytes, checker.device.stream);
  const std::string shape = fmt::format("tokens {} k {} experts {}", tokens, k, experts);
  checker.compare_integers("order_by_expert counts", shape, counts, expected.counts);
  checker.compare_integers("order_by_expert offsets", shape, offsets, expected.offsets);
  checker.compare_integers("order_by_expert row_of_slot", shape, rows, expected.row_of_slot);
  checker.compare_integers("order_by_expert slot_of_choice", shape, slots, expected.slot_of_choice);
}

void check_permute(Checker& checker, int rows, int width) {
  const int sources = rows / 2 + 1;
  const Input x = checker.normal_input(size_t(sources) * size_t(width));
  std::vector<int32_t> source_of_row(size_t(rows), 0);
  for (int32_t& source : source_of_row) source = int32_t(checker.rng.below(uint64_t(sources)));
  const auto index = checker.upload(source_of_row);
  const auto out = checker.output<bf16>(size_t(rows) * size_t(width));
  permute_rows(x.device.data(), index.data(), rows, width, out.data(), checker.device.stream);
  checker.compare("permute_rows", fmt::format("rows {} width {}", rows, width), out,
                  reference::gather_rows(x.host, source_of_row, width));
}

void check_unpermute(Checker& checker, int tokens, int k, int width) {
  const int rows = tokens * k;
  const Input results = checker.normal_input(size_t(rows) * size_t(width));
  std::vector<int32_t> slots(size_t(rows), 0);
  for (int32_t& slot : slots) slot = int32_t(checker.rng.below(uint64_t(rows)));
  const std::vector<float> weights = checker.normal_floats(slots.size());
  const auto slots_input = checker.upload(slots);
  const auto weights_input = checker.upload(weights);
  const auto out = checker.output<bf16>(size_t(tokens) * size_t(width));
  unpermute(results.device.data(), slots_input.data(), weights_input.data(), tokens, k, width, out.data(),
            checker.device.stream);
  checker.compare("unpermute", fmt::format("tokens {} k {} width {}", tokens, k, width), out,
                  reference::unpermute(results.host, slots, weights, tokens, k, width));
}

void check_swiglu(Checker& checker, int rows, int f) {
  const Input x = checker.normal_input(size_t(rows) * size_t(f) * 2, 2);
  const auto out = checker.output<bf16>(size_t(rows) * size_t(f));
  swiglu(x.device.data(), rows, f, out.data(), checker.device.stream);
  checker.compare("swiglu", fmt::format("rows {} f {}", rows, f), out, reference::swiglu(x.host, rows, f));
}

void check_rms_norm(Checker& checker, int rows, int width) {
  const float epsilon = 1e-5F;
  const Input x = checker.normal_input(size_t(rows) * size_t(width), 3);
  const Input gain = checker.normal_input(size_t(width));
  const auto out = checker.output<bf16>(size_t(rows) * size_t(width));
  rms_norm(x.device.data(), gain.device.data(), rows, width, epsilon, out.data(), checker.device.stream);
  checker.compare("rms_norm", fmt::format("rows {} width {}", rows, width), out,
                  reference::rms_norm(x.host, gain.host, rows, width, double(epsilon)));
}

// Mean 0 and variance 1: of 2^18 numbers they are off by 0.002 and 0.003 with deviation 1. What is not filled is NaN.
template <class T>
void check_fill(Checker& checker, const char* type) {
  constexpr size_t count = size_t{1} << 18;
  const auto out = checker.output<T>(count);
  fill_normal(out.data(), int64_t(count), 1, checker.rng.next(), checker.device.stream);
  double sum = 0;
  double squares = 0;
  for (const float value : to_floats(out.download())) {
    sum += double(value);
    squares += double(value) * double(value);
  }
  const double error = std::max(std::abs(sum / count), std::abs(squares / count - 1));
  checker.results.push_back({"fill_normal", type, std::isnan(error) ? INFINITY : error, 0.02});
}

}  // namespace

void check_gates(Checker& checker) {
  const std::vector<SoftmaxCase> softmax_cases = {
      {1, 1, 1, Normalize::no},      {7, 8, 8, Normalize::yes},    {9, 40, 6, Normalize::no},
      {5, 1000, 16, Normalize::yes}, {300, 64, 8, Normalize::no},  {1000, 128, 8, Normalize::yes},
      {257, 256, 8, Normalize::no},  {33, 512, 10, Normalize::no}, {64, 1024, 16, Normalize::no}};
  for (const SoftmaxCase& c : checker.shapes(softmax_cases, 4)) check_softmax(checker, c);

  const std::vector<GroupGate> gates = {{.experts = 8, .k = 3, .groups = 4, .top_groups = 2, .scale = 1},
                                        {},
                                        {.experts = 96, .k = 6, .groups = 3, .top_groups = 1, .scale = 16},
                                        {.experts = 160, .k = 6, .groups = 8, .top_groups = 3, .scale = 16},
                                        {.experts = 384, .k = 8, .groups = 1, .top_groups = 1, .scale = 2.872F},
                                        {.experts = 1024, .k = 16, .groups = 32, .top_groups = 5, .scale = 1}};
  const int tokens = checker.size == CheckSize::small ? 5 : 403;
  for (const GroupGate& gate : checker.shapes(gates, 3)) {
    check_sigmoid(checker, tokens, gate, Scores::normal);
    check_sigmoid(checker, 5, gate, Scores::tied);
  }
}

void check_order(Checker& checker) {
  struct Case {
    int tokens, k, experts;
  };
  const std::vector<Case> cases = {{0, 2, 5},      {1, 1, 1},     {13, 8, 64},    {600, 1, 3},    {77, 16, 1000},
                                   {1000, 8, 256}, {256, 2, 128}, {20000, 8, 64}, {4097, 8, 1024}};
  for (const Case& c : checker.shapes(cases, 5)) check_order_case(checker, c.tokens, c.k, c.experts);
}

void check_rows(Checker& checker) {
  struct Case {
    int rows, width;
  };
  const std::vector<Case> cases = {{1, 8}, {37, 136}, {3, 16384}, {5, 12288}, {100, 7168}, {300, 2048}};
  for (const Case& c : checker.shapes(cases, 3)) {
    check_permute(checker, c.rows, c.width);
    check_swiglu(checker, c.rows, c.width);
    check_rms_norm(checker, c.rows, c.width);
    for (const int k : {1, 6, 16}) check_unpermute(checker, (c.rows + 3) / 4, k, c.width);
  }
}

std::vector<CheckResult> check_kernels(const CheckDevice& device, uint64_t seed, CheckSize size,
                                       const LibraryGemms& library) {
  Checker checker{device, size, Rng::stream(seed, "checks"), {}};
  check_fill<bf16>(checker, "bf16");
  check_fill<float>(checker, "fp32");
  check_gates(checker);
  check_order(checker);
  check_rows(checker);
  check_grouped_gemm(checker, library);
  check_attention(checker);
  return std::move(checker.results);
}

}  // namespace moesim::bench
