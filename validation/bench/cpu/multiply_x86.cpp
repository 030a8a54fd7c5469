// Kernels for sets of instructions that not every x86-64 CPU has. Each function says what it is compiled for; who calls
// it has asked whether the CPU has that.
#include <immintrin.h>

#include "validation/bench/cpu/multiply_parts.h"

namespace moesim::bench {

bool has_avx2() { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }
bool has_avx512_bf16() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512bf16") != 0;
}
bool has_avx512_vnni() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0;
}

namespace {

#define TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

template <int rows, int tokens>
struct Bf16Avx2 {
  TARGET_AVX2 static __m256 load(const uint16_t* x) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  TARGET_AVX2 static float sum(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
  TARGET_AVX2 static void run(const Panel& p, int64_t row, int token) {
    const int k = p.matrix.k;
    const auto* const w = reinterpret_cast<const uint16_t*>(p.matrix.values.data()) + row * k;
    const uint16_t* const x = p.x.halves.data() + int64_t(token) * k;
    __m256 c[rows][tokens];
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) c[r][t] = _mm256_setzero_ps();
    for (int i = 0; i < k; i += 8) {
      __m256 b[tokens];
      for (int t = 0; t < tokens; ++t) b[t] = load(x + int64_t(t) * k + i);
      for (int r = 0; r < rows; ++r) {
        const __m256 a = load(w + int64_t(r) * k + i);
        for (int t = 0; t < tokens; ++t) c[r][t] = _mm256_fmadd_ps(a, b[t], c[r][t]);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) p.out[(token + t) * p.out_stride + row + r] = sum(c[r][t]);
  }
};

template <int rows, int tokens>
struct Bf16Avx512 {
  TARGET_BF16 static __m512bh load(const uint16_t* x) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(x)); }
  TARGET_BF16 static void run(const Panel& p, int64_t row, int token) {
    const int k = p.matrix.k;
    const auto* const w = reinterpret_cast<const uint16_t*>(p.matrix.values.data()) + row * k;
    const uint16_t* const x = p.x.halves.data() + int64_t(token) * k;
    __m512 c[rows][tokens];
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) c[r][t] = _mm512_setzero_ps();
    for (int i = 0; i < k; i += 32) {
      __m512bh b[tokens];
      for (int t = 0; t < tokens; ++t) b[t] = load(x + int64_t(t) * k + i);
      for (int r = 0; r < rows; ++r) {
        const __m512bh a = load(w + int64_t(r) * k + i);
        for (int t = 0; t < tokens; ++t) c[r][t] = _mm512_dpbf16_ps(c[r][t], a, b[t]);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) p.out[(token + t) * p.out_stride + row + r] = _mm512_reduce_add_ps(c[r][t]);
  }
};

// The instruction multiplies unsigned by signed bytes: activations are sent as x + 128, and 128 times the sum of the
// row's weights is taken off in the end.
template <int rows, int tokens>
struct Int8Avx512 {
  TARGET_VNNI static void run(const Panel& p, int64_t row, int token) {
    const int k = p.matrix.k;
    const uint8_t* const w = p.matrix.values.data() + row * k;
    const int8_t* const x = p.x.int8.data() + int64_t(token) * k;
    const __m512i flip = _mm512_set1_epi8(int8_t(-128));  // x + 128 is x with its first bit turned
    __m512i c[rows][tokens];
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) c[r][t] = _mm512_setzero_si512();
    for (int i = 0; i < k; i += 64) {
      __m512i b[tokens];
      for (int t = 0; t < tokens; ++t) b[t] = _mm512_xor_si512(_mm512_loadu_si512(x + int64_t(t) * k + i), flip);
      for (int r = 0; r < rows; ++r) {
        const __m512i a = _mm512_loadu_si512(w + int64_t(r) * k + i);
        for (int t = 0; t < tokens; ++t) c[r][t] = _mm512_dpbusd_epi32(c[r][t], b[t], a);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) {
        const int32_t sum = _mm512_reduce_add_epi32(c[r][t]) - 128 * p.matrix.sums.data()[row + r];
        p.out[(token + t) * p.out_stride + row + r] =
            float(sum) * p.matrix.scales.data()[row + r] * p.x.scales.data()[token + t];
      }
  }
};

// Weights are 0 to 15, which are unsigned as they are: 8 times the sum of the group's activations is taken off, in one
// lane, before the group is multiplied.
template <int rows, int tokens>
struct Int4Avx512 {
  TARGET_VNNI static void run(const Panel& p, int64_t row, int token) {
    const int k = p.matrix.k;
    const int groups = k / int4_group;
    const __m512i low = _mm512_set1_epi8(15);
    __m512 c[rows][tokens];
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t) c[r][t] = _mm512_setzero_ps();
    for (int group = 0; group < groups; ++group) {
      __m512i first[tokens];
      __m512i second[tokens];
      __m512i less[tokens];
      for (int t = 0; t < tokens; ++t) {
        const int8_t* const x = p.x.int8.data() + int64_t(token + t) * k + group * int4_group;
        first[t] = _mm512_loadu_si512(x);
        second[t] = _mm512_loadu_si512(x + 64);
        less[t] = _mm512_maskz_set1_epi32(1, -8 * p.x.sums.data()[int64_t(token + t) * groups + group]);
      }
      for (int r = 0; r < rows; ++r) {
        const __m512i both = _mm512_loadu_si512(p.matrix.values.data() + (row + r) * (k / 2) + group * 64);
        const __m512i lower = _mm512_and_si512(both, low);
        const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        const __m512 scale = _mm512_set1_ps(p.matrix.scales.data()[(row + r) * groups + group]);
        for (int t = 0; t < tokens; ++t) {
          const __m512i sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(less[t], lower, first[t]), upper, second[t]);
          c[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, c[r][t]);
        }
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int t = 0; t < tokens; ++t)
        p.out[(token + t) * p.out_stride + row + r] = _mm512_reduce_add_ps(c[r][t]) * p.x.scales.data()[token + t];
  }
};

}  // namespace

void multiply_bf16_avx2(const Panel& panel) { in_blocks<Bf16Avx2>(panel); }
void multiply_bf16_avx512(const Panel& panel) { in_blocks<Bf16Avx512>(panel); }
void multiply_int8_avx512(const Panel& panel) { in_blocks<Int8Avx512>(panel); }
void multiply_int4_avx512(const Panel& panel) { in_blocks<Int4Avx512>(panel); }

}  // namespace moesim::bench
