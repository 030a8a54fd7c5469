#include "validation/bench/cpu/multiply.h"

#include <cstring>

#include "sim/core/check.h"
#include "validation/bench/cpu/multiply_parts.h"

namespace moesim::bench {

const char* name_of(Instructions instructions) {
  switch (instructions) {
    case Instructions::plain:
      return "plain";
    case Instructions::avx2:
      return "avx2";
    case Instructions::avx512:
      return "avx512";
    case Instructions::amx:
      return "amx";
  }
  return "";
}

std::vector<Instructions> instructions_for(WeightType type) {
  std::vector<Instructions> all{Instructions::plain};
  if (type == WeightType::bfloat16) {
    if (has_avx2()) all.push_back(Instructions::avx2);
    if (has_avx512_bf16()) all.push_back(Instructions::avx512);
    if (has_amx_bf16()) all.push_back(Instructions::amx);
  } else if (has_avx512_vnni()) {
    all.push_back(Instructions::avx512);
  }
  return all;
}

void multiply(const CpuMatrix& matrix, const CpuActivations& x, int64_t begin, int64_t end, float* out,
              int64_t out_stride, Instructions instructions) {
  CHECK(matrix.k == x.k);
  const Panel panel{matrix, x, begin, end, out, out_stride};
  switch (instructions) {
    case Instructions::plain:
      return multiply_plain(panel);
    case Instructions::avx2:
      CHECK(matrix.type == WeightType::bfloat16);
      return multiply_bf16_avx2(panel);
    case Instructions::avx512:
      if (matrix.type == WeightType::int8) return multiply_int8_avx512(panel);
      if (matrix.type == WeightType::int4) return multiply_int4_avx512(panel);
      return multiply_bf16_avx512(panel);
    case Instructions::amx:
      CHECK(matrix.type == WeightType::bfloat16);
      return multiply_bf16_amx(panel);
  }
}

namespace {

float dot_bf16(const uint8_t* w, const uint16_t* x, int k) {
  float sum = 0;
  for (int i = 0; i < k; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, w + 2 * i, 2);
    sum += bf16_to_float(bits) * bf16_to_float(x[i]);
  }
  return sum;
}

int32_t dot_int8(const uint8_t* w, const int8_t* x, int k) {
  int32_t sum = 0;
  for (int i = 0; i < k; ++i) sum += int32_t(int8_t(w[i])) * x[i];
  return sum;
}

float dot_int4(const uint8_t* w, const float* scales, const int8_t* x, int k) {
  float sum = 0;
  for (int group = 0; group < k / int4_group; ++group) {
    int32_t of_group = 0;
    for (int i = 0; i < 64; ++i) {
      const uint8_t byte = w[group * 64 + i];
      of_group += ((byte & 15) - 8) * x[group * int4_group + i];
      of_group += ((byte >> 4) - 8) * x[group * int4_group + 64 + i];
    }
    sum += scales[group] * float(of_group);
  }
  return sum;
}

}  // namespace

void multiply_plain(const Panel& p) {
  const int k = p.matrix.k;
  for (int64_t row = p.begin; row < p.end; ++row) {
    const uint8_t* const w = p.matrix.values.data() + row * p.matrix.row_bytes();
    for (int token = 0; token < p.x.tokens; ++token) {
      float& out = p.out[token * p.out_stride + row];
      const int8_t* const x = p.x.int8.data() + int64_t(token) * k;
      if (p.matrix.type == WeightType::bfloat16)
        out = dot_bf16(w, p.x.halves.data() + int64_t(token) * k, k);
      else if (p.matrix.type == WeightType::int8)
        out = float(dot_int8(w, x, k)) * p.matrix.scales.data()[row] * p.x.scales.data()[token];
      else
        out = dot_int4(w, p.matrix.scales.data() + row * (k / int4_group), x, k) * p.x.scales.data()[token];
    }
  }
}

}  // namespace moesim::bench
