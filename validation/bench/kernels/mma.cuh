// Tensor-core building blocks of the grouped GEMM and the attention kernels: asynchronous copies to shared memory,
// fragments, and the m16n8k16 product, all of which sm_80 and everything later have.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {

constexpr unsigned all_lanes = 0xFFFFFFFFU;
constexpr float log2_e = 1.4426950408889634F;

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Copies 16 bytes, or writes 16 zero bytes and reads nothing where `valid` is false.
__device__ inline void copy_16(bf16* to, const bf16* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }

// Waits until at most `pending` of this thread's latest groups of copies are still under way.
template <int pending>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory");
}

// Where 16-byte chunk `chunk` of row `row` lies in a shared tile whose rows have `width` elements, a multiple of 64.
// Eight rows of one chunk fall on eight different bank groups, so that load_fragments meets no conflict.
template <int width>
__device__ inline int swizzled(int row, int chunk) {
  static_assert(width % 64 == 0);
  return row * width + (chunk ^ (row & 7)) * 8;
}

// Four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
__device__ inline void load_fragments(uint32_t (&registers)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void load_fragments_transposed(uint32_t (&registers)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
}

// sums [16 x 8] += a [16 x 16] b [16 x 8]. With g = lane / 4 and t = lane % 4: sums hold (g, 2t), (g, 2t + 1), (g + 8,
// 2t), (g + 8, 2t + 1); a holds the pairs of columns from 2t and 2t + 8 of rows g and g + 8 in the order (g, 2t), (g +
// 8, 2t), (g, 2t + 8), (g + 8, 2t + 8); b holds the pairs of rows from 2t and from 2t + 8 of column g.
__device__ inline void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// 2^x to about 2 ulp; 0 for minus infinity.
__device__ inline float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(result) : "f"(x));
  return result;
}

// Over the four lanes that share a row of a fragment.
__device__ inline float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(all_lanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(all_lanes, x, 2));
}
__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(all_lanes, x, 1);
  return x + __shfl_xor_sync(all_lanes, x, 2);
}

}  // namespace moesim::bench
