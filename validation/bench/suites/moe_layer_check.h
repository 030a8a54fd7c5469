// The whole MoE layer against a float64 reference, on as many GPUs as there are.
#pragma once

#include "validation/bench/bench.h"

namespace moesim::bench {

// Small layers, sequential and chunked, eager and as graphs; adds a check a layer and rank, and throws where one fails.
void check_moe_layer(Bench& bench);

}  // namespace moesim::bench
