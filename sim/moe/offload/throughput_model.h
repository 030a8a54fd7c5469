// What bounds the throughput of a model whose weights stream through a GPU from the host's memory: the closed forms of
// MoE-Lens (arXiv 2504.09345) and the hierarchical roofline of MoE-Lightning (ASPLOS 2025). No time is simulated here.
#pragma once

#include <cstdint>

#include "sim/core/units.h"

namespace moesim {

// The experts of a layer, of which each token chooses some.
struct ExpertChoice {
  int32_t experts = 1;
  int32_t top_k = 1;
};

// MoE-Lens, equation 1: flops for each byte of weights that travels in 16 bits, with so many tokens in a step.
double streamed_intensity(double tokens, const ExpertChoice& choice);

// Equation 2: tokens of a step from which on the GPU computes as long as the weights travel.
double saturating_tokens(FlopRate gpu, Rate link, const ExpertChoice& choice);

// What requests are like: tokens of the prompt, and tokens generated.
struct RequestShape {
  double prompt = 0;
  double generated = 0;
};

// Equation 3, parallelism-memory efficiency: tokens computed for each token that the KV cache holds for one step. A
// request holds prompt + generated / 2 tokens, on average, for as many steps as it generates tokens.
double parallelism_memory_efficiency(const RequestShape& shape);

// Time in which all weights travel once: the step of a pipeline that they bound.
Duration streaming_time(Bytes weights, Rate link);

// Equation 4: tokens a second, prompts included, with room for so many tokens in the KV cache. It is bound by that
// room or by what the GPU computes.
double throughput_bound(const RequestShape& shape, double cached_tokens, Duration streaming, double gpu_tokens_per_s);

// Equation 5: what the host's memory has to deliver for attention on the CPU beside the weights that travel.
Rate host_memory_rate(Rate cache, Rate link);

// Equation 6: what the CPU has to compute for attention that reads keys and values at a rate. `sharing` query heads
// share each; `intensity` is flops for each byte of a head's own keys and values, 1 in 16 bits.
FlopRate cpu_attention_rate(double sharing, double intensity, Rate cache);

// Equation 7: so many times the room there is, as requests fill theirs only at their end.
double effective_capacity_factor(const RequestShape& shape);

// A processor and its memory.
struct RooflineLevel {
  FlopRate compute;
  Rate memory;
};

// Equations of the hierarchical roofline: what work of `intensity` flops for each byte of the level's own memory
// reaches, where it has `far_intensity` flops for each byte that comes over a link from the memory below.
FlopRate attainable(const RooflineLevel& level, double intensity);
FlopRate attainable(const RooflineLevel& level, double intensity, Rate link, double far_intensity);

// P1: flops for each byte of the lower memory below which work is done sooner where its data lie, as the link feeds the
// upper processor less than the lower one computes.
double worth_moving(const RooflineLevel& lower, Rate link);

// P2: flops for each byte that travels, from which on the link no longer bounds work that has `intensity` in the upper
// memory.
double link_balance(const RooflineLevel& upper, double intensity, Rate link);

// Equations 12 to 14: a layer takes as long as the busiest of link, CPU and GPU, and each of these as long as its bytes
// or its flops.
struct LayerDemand {
  Bytes link;
  Bytes gpu_memory;
  double gpu_flops = 0;
  Bytes cpu_memory;
  double cpu_flops = 0;
};
struct LayerBounds {
  Duration link;
  Duration gpu;
  Duration cpu;
  Duration longest() const;
};
LayerBounds layer_bounds(const LayerDemand& demand, Rate link, const RooflineLevel& gpu, const RooflineLevel& cpu);

}  // namespace moesim
