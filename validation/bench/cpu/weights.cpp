#include "validation/bench/cpu/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "sim/core/check.h"

namespace moesim::bench {
namespace {

uint64_t hash(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

int64_t tiles_of(int tokens) { return (tokens + 15) / 16; }

void fill_bf16_row(uint8_t* row, int k, uint64_t seed) {
  const float scale = std::sqrt(3.0F / float(k)) / 32768.0F;
  for (int i = 0; i < k; i += 4) {
    const uint64_t bits = hash(seed + uint64_t(i));
    for (int j = 0; j < 4; ++j) {
      const uint16_t value = float_to_bf16(float(int16_t(bits >> (16 * j))) * scale);
      std::memcpy(row + 2 * (i + j), &value, 2);
    }
  }
}

int32_t fill_int8_row(uint8_t* row, int k, uint64_t seed) {
  int32_t sum = 0;
  for (int i = 0; i < k; i += 8) {
    const uint64_t bits = hash(seed + uint64_t(i));
    for (int j = 0; j < 8; ++j) {
      const auto value = int8_t(std::max(-127, int(int8_t(bits >> (8 * j)))));
      row[i + j] = uint8_t(value);
      sum += value;
    }
  }
  return sum;
}

}  // namespace

const char* name_of(WeightType type) {
  return type == WeightType::bfloat16 ? "bf16" : type == WeightType::int8 ? "int8" : "int4";
}

float bf16_to_float(uint16_t bits) {
  const uint32_t wide = uint32_t(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, 4);
  return value;
}

uint16_t float_to_bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

CpuMatrix make_matrix(WeightType type, int rows, int k) {
  CHECK(k % int4_group == 0);
  CpuMatrix matrix;
  matrix.type = type;
  matrix.rows = rows;
  matrix.k = k;
  matrix.values = AlignedArray<uint8_t>(matrix.bytes());
  if (type == WeightType::int8) matrix.scales = AlignedArray<float>(rows);
  if (type == WeightType::int8) matrix.sums = AlignedArray<int32_t>(rows);
  if (type == WeightType::int4) matrix.scales = AlignedArray<float>(int64_t(rows) * k / int4_group);
  return matrix;
}

void fill_rows(CpuMatrix& matrix, uint64_t seed, int64_t begin, int64_t end) {
  const int k = matrix.k;
  const float unit = std::sqrt(3.0F / float(k));  // uniform in +-unit has variance 1 / k
  for (int64_t row = begin; row < end; ++row) {
    uint8_t* const values = matrix.values.data() + row * matrix.row_bytes();
    const uint64_t row_seed = hash(seed + uint64_t(row)) + uint64_t(row);
    if (matrix.type == WeightType::bfloat16) {
      fill_bf16_row(values, k, row_seed);
    } else if (matrix.type == WeightType::int8) {
      matrix.sums.data()[row] = fill_int8_row(values, k, row_seed);
      matrix.scales.data()[row] = unit / 127 * (1 + float(row % 4) / 8);
    } else {
      for (int i = 0; i < k / 2; i += 8) {
        const uint64_t bits = hash(row_seed + uint64_t(i));
        std::memcpy(values + i, &bits, 8);
      }
      const int64_t groups = k / int4_group;
      for (int64_t group = 0; group < groups; ++group)
        matrix.scales.data()[row * groups + group] = unit / 8 * (1 + float((row + group) % 4) / 8);
    }
  }
}

float weight(const CpuMatrix& matrix, int64_t row, int64_t column) {
  const uint8_t* const values = matrix.values.data() + row * matrix.row_bytes();
  if (matrix.type == WeightType::bfloat16) {
    uint16_t bits = 0;
    std::memcpy(&bits, values + 2 * column, 2);
    return bf16_to_float(bits);
  }
  if (matrix.type == WeightType::int8) return float(int8_t(values[column])) * matrix.scales.data()[row];
  const int64_t group = column / int4_group;
  const int64_t place = column % int4_group;
  const uint8_t byte = values[group * (int4_group / 2) + place % 64];
  const int value = (place < 64 ? byte & 15 : byte >> 4) - 8;
  return float(value) * matrix.scales.data()[row * (matrix.k / int4_group) + group];
}

CpuActivations make_activations(int tokens, int k) {
  CpuActivations a;
  a.tokens = tokens;
  a.k = k;
  a.halves = AlignedArray<uint16_t>(int64_t(tokens) * k);
  a.pairs = AlignedArray<uint16_t>(tiles_of(tokens) * 16 * k);
  std::fill_n(a.pairs.data(), a.pairs.size(), uint16_t{0});
  a.int8 = AlignedArray<int8_t>(int64_t(tokens) * k);
  a.scales = AlignedArray<float>(tokens);
  a.sums = AlignedArray<int32_t>(int64_t(tokens) * k / int4_group);
  return a;
}

Form form_of(WeightType type, bool tiles) {
  return type != WeightType::bfloat16 ? Form::int8 : tiles ? Form::pairs : Form::halves;
}

void store_row(CpuActivations& a, int token, const float* x, Form form) {
  const int k = a.k;
  if (form == Form::halves) {
    uint16_t* const row = a.halves.data() + int64_t(token) * k;
    for (int i = 0; i < k; ++i) row[i] = float_to_bf16(x[i]);
  } else if (form == Form::pairs) {
    uint16_t* const tile = a.pairs.data() + int64_t(token / 16) * 16 * k + (token % 16) * 2;
    for (int i = 0; i < k; i += 2) {
      tile[i * 16] = float_to_bf16(x[i]);
      tile[i * 16 + 1] = float_to_bf16(x[i + 1]);
    }
  } else {
    float largest = 0;
    for (int i = 0; i < k; ++i) largest = std::max(largest, std::abs(x[i]));
    a.scales.data()[token] = largest / 127;
    const float inverse = largest > 0 ? 127 / largest : 0;
    int8_t* const row = a.int8.data() + int64_t(token) * k;
    for (int i = 0; i < k; ++i) row[i] = int8_t(std::lrint(x[i] * inverse));
    for (int group = 0; group < k / int4_group; ++group) {
      int32_t sum = 0;
      for (int i = 0; i < int4_group; ++i) sum += row[group * int4_group + i];
      a.sums.data()[int64_t(token) * (k / int4_group) + group] = sum;
    }
  }
}

}  // namespace moesim::bench
