// One function for each weight type and set of instructions; validation/bench/cpu/multiply.h chooses among them.
#pragma once

#include "validation/bench/cpu/multiply.h"

namespace moesim::bench {

// The part of a product that one call makes.
struct Panel {
  const CpuMatrix& matrix;
  const CpuActivations& x;
  int64_t begin;
  int64_t end;
  float* out;
  int64_t out_stride;
};

void multiply_plain(const Panel& panel);
void multiply_bf16_avx2(const Panel& panel);
void multiply_bf16_avx512(const Panel& panel);
void multiply_bf16_amx(const Panel& panel);
void multiply_int8_avx512(const Panel& panel);
void multiply_int4_avx512(const Panel& panel);

bool has_avx2();
bool has_avx512_bf16();
bool has_avx512_vnni();
bool has_amx_bf16();  // and asks the system for it

// Rows of weights stay in the innermost cache while all tokens pass: four rows, and four tokens where there are as
// many. Kernel<rows, tokens>::run(panel, row, token) makes one block.
template <template <int, int> class Kernel>
void in_blocks(const Panel& p) {
  const int tokens = p.x.tokens;
  int64_t row = p.begin;
  for (; row + 4 <= p.end; row += 4) {
    int token = 0;
    for (; token + 4 <= tokens; token += 4) Kernel<4, 4>::run(p, row, token);
    for (; token < tokens; ++token) Kernel<4, 1>::run(p, row, token);
  }
  for (; row < p.end; ++row)
    for (int token = 0; token < tokens; ++token) Kernel<1, 1>::run(p, row, token);
}

}  // namespace moesim::bench
