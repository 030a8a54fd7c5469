#include "validation/bench/cpu/expert.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim::bench {

CpuExpertWeights make_expert(WeightType type, int d, int f, uint64_t seed, Team& team) {
  CpuExpertWeights weights{make_matrix(type, 2 * f, d), make_matrix(type, d, f)};
  team.run([&](int thread) {
    for (CpuMatrix* matrix : {&weights.up, &weights.down}) {
      const auto [begin, end] = team.part(thread, matrix->rows, row_block);
      fill_rows(*matrix, seed + (matrix == &weights.up ? 0 : 1), begin, end);
    }
  });
  return weights;
}

CpuExpert::CpuExpert(int d, int f, int tokens, WeightType type, Instructions instructions)
    : d_(d),
      f_(f),
      tokens_(tokens),
      instructions_(instructions),
      form_(form_of(type, instructions == Instructions::amx)),
      in_(make_activations(tokens, d)),
      middle_(make_activations(tokens, f)),
      up_(size_t(tokens) * 2 * size_t(f)),
      active_(size_t(tokens) * size_t(f)),
      out_(size_t(tokens) * size_t(d)) {}

void CpuExpert::run(Team& team, const CpuExpertWeights& weights, std::span<const float> x) {
  CHECK(x.size() == size_t(tokens_) * size_t(d_));
  team.run([&](int thread) {
    const auto [first, last] = team.part(thread, tokens_);
    for (int64_t token = first; token < last; ++token) store_row(in_, int(token), x.data() + token * d_, form_);
    team.wait();
    const auto [up_begin, up_end] = team.part(thread, 2 * f_, row_block);
    multiply(weights.up, in_, up_begin, up_end, up_.data(), 2 * f_, instructions_);
    team.wait();
    for (int64_t token = first; token < last; ++token) {
      const float* const up = up_.data() + token * 2 * f_;
      float* const active = active_.data() + token * f_;
      for (int i = 0; i < f_; ++i) active[i] = up[i] / (1 + std::exp(-up[i])) * up[f_ + i];
      store_row(middle_, int(token), active, form_);
    }
    team.wait();
    const auto [begin, end] = team.part(thread, d_, row_block);
    multiply(weights.down, middle_, begin, end, out_.data(), d_, instructions_);
  });
}

std::vector<double> expert_reference(const CpuExpertWeights& weights, std::span<const float> x) {
  const int d = weights.up.k;
  const int f = weights.down.k;
  const size_t tokens = x.size() / size_t(d);
  std::vector<double> out(tokens * size_t(d), 0);
  for (size_t token = 0; token < tokens; ++token) {
    std::vector<double> up(size_t(2) * size_t(f), 0);
    for (int row = 0; row < 2 * f; ++row)
      for (int i = 0; i < d; ++i)
        up[size_t(row)] += double(weight(weights.up, row, i)) * double(x[token * size_t(d) + size_t(i)]);
    for (int row = 0; row < d; ++row)
      for (int i = 0; i < f; ++i)
        out[token * size_t(d) + size_t(row)] += double(weight(weights.down, row, i)) * up[size_t(i)] /
                                                (1 + std::exp(-up[size_t(i)])) * up[size_t(f) + size_t(i)];
  }
  return out;
}

namespace {

double relative_error(const std::vector<float>& out, const std::vector<double>& expected) {
  double off = 0;
  double norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    off += (double(out[i]) - expected[i]) * (double(out[i]) - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::isnan(off) ? INFINITY : std::sqrt(off / norm);
}

struct CheckShape {
  int d, f, tokens;
};

}  // namespace

std::vector<CpuCheck> check_experts(uint64_t seed, int threads) {
  std::vector<CpuCheck> checks;
  Rng rng = Rng::stream(seed, "cpu checks");
  constexpr CheckShape shapes[] = {{256, 128, 1}, {128, 256, 5}, {384, 128, 35}, {128, 384, 50}};
  for (const WeightType type : {WeightType::bfloat16, WeightType::int8, WeightType::int4})
    for (const CheckShape& s : shapes) {
      Team team(s.tokens % 2 == 0 ? 1 : threads);
      const CpuExpertWeights weights = make_expert(type, s.d, s.f, rng.next(), team);
      std::vector<float> x(size_t(s.tokens) * size_t(s.d));
      for (float& value : x) value = bf16_to_float(float_to_bf16(float(rng.normal())));
      const std::vector<double> expected = expert_reference(weights, x);
      for (const Instructions instructions : instructions_for(type)) {
        CpuExpert expert(s.d, s.f, s.tokens, type, instructions);
        expert.run(team, weights, x);
        // Activations of 8 bits have an error of their own, of about 1 %.
        checks.push_back({std::string("cpu expert, ") + name_of(type) + ", " + name_of(instructions),
                          "d " + std::to_string(s.d) + " f " + std::to_string(s.f) + " tokens " +
                              std::to_string(s.tokens) + " threads " + std::to_string(team.threads()),
                          relative_error(expert.out(), expected), type == WeightType::bfloat16 ? 1e-2 : 3e-2});
      }
    }
  return checks;
}

}  // namespace moesim::bench
