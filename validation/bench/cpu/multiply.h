// out = activations times the transpose of a matrix, on one CPU core, with the instructions that the CPU has.
#pragma once

#include <string>
#include <vector>

#include "validation/bench/cpu/weights.h"

namespace moesim::bench {

// plain: what every x86-64 has. avx2: bf16 alone. avx512: its BF16 or VNNI instructions. amx: tiles, bf16 alone.
enum class Instructions { plain, avx2, avx512, amx };
const char* name_of(Instructions instructions);

// What this CPU and this system let us use for the type; the last is the best for many tokens. Asks the system for the
// tiles of AMX, so call it before there are threads.
std::vector<Instructions> instructions_for(WeightType type);

// out[token * out_stride + row] for the matrix's rows from `begin` to `end` and all tokens. Activations are in the form
// of the type and the instructions. With amx, begin and end are multiples of 32, or the end of the matrix, whose rows
// are a multiple of 16.
void multiply(const CpuMatrix& matrix, const CpuActivations& x, int64_t begin, int64_t end, float* out,
              int64_t out_stride, Instructions instructions);

// Rows are dealt to threads in blocks of so many.
constexpr int64_t row_block = 32;

}  // namespace moesim::bench
