// Context-coherent expert parallelism (ExFlow, arXiv 2401.08383): every GPU of an expert-parallel group has the KV
// cache of all its requests, so that a token need not return after its experts. It computes the next layer's attention
// where its first expert is. Of the two all-to-alls of a layer the combine is left with the results of a token's other
// experts, and with nothing where it has one. A step ends with an all-gather of the new tokens.
#pragma once

#include <vector>

#include "sim/moe/batch.h"
#include "sim/moe/layout.h"
#include "sim/moe/placement.h"
#include "sim/moe/routing.h"

namespace moesim {

struct CoherentStep {
  StepRouting routing;
  std::vector<Batch> batch_in_layer;           // [MoE layer] the requests whose tokens are on each GPU
  std::vector<std::vector<int32_t>> next_gpu;  // [MoE layer][token in the layer's order] where it is after the layer
};

// Each request has one new token, and attention is not tensor parallel. Tokens begin on the GPUs of their requests.
CoherentStep coherent_step(const StepRouting& plain, const Batch& batch, const Placement& placement,
                           const Layout& layout);

}  // namespace moesim
