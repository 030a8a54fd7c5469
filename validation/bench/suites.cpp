#include "validation/bench/bench.h"

namespace moesim::bench {

void run_gemm(Bench& bench);
void run_grouped_gemm(Bench& bench);
void run_kernels(Bench& bench);
void run_attention(Bench& bench);
void run_copies(Bench& bench);
void run_launch(Bench& bench);
void run_collectives(Bench& bench);
void run_interference(Bench& bench);
void run_moe_layer(Bench& bench);
void run_cpu(Bench& bench);
void run_power(Bench& bench);

const std::vector<Suite>& suites() {
  static const std::vector<Suite> all{
      {"gemm", "dense GEMMs of cuBLASLt, bf16 and fp8", run_gemm, 2},
      {"grouped_gemm", "the experts' GEMMs, even and uneven, of cuBLAS and our own", run_grouped_gemm, 2},
      {"kernels", "gates, ordering, permute, unpermute, SwiGLU, RMSNorm", run_kernels, 1},
      {"attention", "prefill and decode, grouped-query and latent", run_attention, 1},
      {"copies", "host, device and peer, alone and several at once", run_copies, 1},
      {"launch", "kernels, graph nodes, events, hops between streams, and what the host spends on them", run_launch,
       0.3},
      {"collectives", "NCCL's, even and skewed, 1 KB to 1 GB", run_collectives, 2},
      {"interference", "two kinds of work at once", run_interference, 1.5},
      {"moe_layer", "whole expert-parallel layers, phase by phase and end to end", run_moe_layer, 3},
      {"cpu", "the CPU's memory, experts on it, and what a copy to the GPU does to both", run_cpu, 2, Needs::nothing},
      {"power", "long load, until the clock falls", run_power, 0.7}};
  return all;
}

}  // namespace moesim::bench
