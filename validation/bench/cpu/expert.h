// One expert of a MoE layer on the CPU: up and gate projection, SwiGLU, down projection.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "validation/bench/cpu/multiply.h"
#include "validation/bench/cpu/team.h"

namespace moesim::bench {

struct CpuExpertWeights {
  CpuMatrix up;    // [2 f, d]: the gate's rows, then the others
  CpuMatrix down;  // [d, f]
  int64_t bytes() const { return up.bytes() + down.bytes(); }
};

// Each thread of the team fills the rows that it will read.
CpuExpertWeights make_expert(WeightType type, int d, int f, uint64_t seed, Team& team);

// Buffers for one batch of tokens.
class CpuExpert {
 public:
  CpuExpert(int d, int f, int tokens, WeightType type, Instructions instructions);

  // x [tokens, d] -> out() [tokens, d].
  void run(Team& team, const CpuExpertWeights& weights, std::span<const float> x);
  const std::vector<float>& out() const { return out_; }

 private:
  int d_, f_, tokens_;
  Instructions instructions_;
  Form form_;
  CpuActivations in_, middle_;
  std::vector<float> up_, active_, out_;
};

// The same in float64, from what the weights stand for.
std::vector<double> expert_reference(const CpuExpertWeights& weights, std::span<const float> x);

// Compares every type of weights and every set of instructions of this CPU with the reference: odd numbers of tokens,
// one thread and several.
struct CpuCheck {
  std::string kernel;
  std::string shape;
  double error;
  double bound;
};
std::vector<CpuCheck> check_experts(uint64_t seed, int threads);

}  // namespace moesim::bench
