#include "validation/bench/bench.h"

namespace moesim::bench {

void run_gemm(Bench& bench);
void run_grouped_gemm(Bench& bench);
void run_attention(Bench& bench);
void run_collectives(Bench& bench);
void run_interference(Bench& bench);
void run_moe_layer(Bench& bench);

const std::vector<Suite>& suites() {
  static const std::vector<Suite> all{
      {"gemm", "dense GEMMs of cuBLASLt, bf16 and fp8", run_gemm, 1},
      {"grouped_gemm", "the experts' GEMMs, even and uneven, of cuBLAS and our own", run_grouped_gemm, 1.5},
      {"attention", "prefill and decode, grouped-query and latent", run_attention, 1},
      {"collectives", "NCCL's, even and skewed, 1 KB to 1 GB", run_collectives, 2},
      {"interference", "two kinds of work at once", run_interference, 1.5},
      {"moe_layer", "whole expert-parallel layers, phase by phase and end to end", run_moe_layer, 3}};
  return all;
}

}  // namespace moesim::bench
