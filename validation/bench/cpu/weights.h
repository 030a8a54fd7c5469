// Weights and activations as the CPU's kernels read them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace moesim::bench {

// Memory that begins at a cache line, not initialised: who first writes a page decides which memory it is in.
template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(int64_t count) : size_(count) {
    const size_t bytes = (size_t(count) * sizeof(T) + 63) / 64 * 64;
    memory_.reset(static_cast<T*>(std::aligned_alloc(64, bytes == 0 ? 64 : bytes)));
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T, Free> memory_;
  int64_t size_ = 0;
};

enum class WeightType { bfloat16, int8, int4 };
const char* name_of(WeightType type);

// Groups of so many int4 weights along a row have one scale; int8 and bf16 rows have one, the latter 1.
constexpr int int4_group = 128;

// A matrix [rows, k]. k is a multiple of 128.
//   bf16: 16 bits a weight
//   int8: -127 to 127, times the row's scale
//   int4: 0 to 15, less 8, times the group's scale. A byte holds weight i of a group of 128 in its lower half and
//         weight i + 64 in its upper half, so that one mask or shift gives 64 neighbours.
struct CpuMatrix {
  WeightType type = WeightType::bfloat16;
  int rows = 0;
  int k = 0;
  AlignedArray<uint8_t> values;
  AlignedArray<float> scales;  // int8: [rows]; int4: [rows, k / 128]
  AlignedArray<int32_t> sums;  // int8: of each row's weights

  int64_t row_bytes() const {
    return type == WeightType::bfloat16 ? 2 * int64_t(k) : type == WeightType::int8 ? k : k / 2;
  }
  int64_t bytes() const { return rows * row_bytes(); }
};

// Random weights, nearly uniform, of deviation about 1 / sqrt(k); a hash of the seed and their place. Rows from `begin`
// to `end`: threads fill parts of their own.
CpuMatrix make_matrix(WeightType type, int rows, int k);
void fill_rows(CpuMatrix& matrix, uint64_t seed, int64_t begin, int64_t end);

// What the weight stands for.
float weight(const CpuMatrix& matrix, int64_t row, int64_t column);

// Rows of activations [tokens, k] in all the forms that kernels read.
struct CpuActivations {
  int tokens = 0;
  int k = 0;
  AlignedArray<uint16_t> halves;  // [tokens, k]
  AlignedArray<uint16_t> pairs;   // [token / 16][k / 32][16 pairs of k][16 tokens][2]: tiles of AMX; zeros at the end
  AlignedArray<int8_t> int8;      // [tokens, k]: -127 to 127, times the token's scale
  AlignedArray<float> scales;     // [tokens]
  AlignedArray<int32_t> sums;     // int4's groups: [tokens, k / 128], of the int8 numbers
};
CpuActivations make_activations(int tokens, int k);

// Which forms a weight type needs.
enum class Form { halves, pairs, int8 };
Form form_of(WeightType type, bool tiles);

// Writes one token's row in this form.
void store_row(CpuActivations& activations, int token, const float* x, Form form);

float bf16_to_float(uint16_t bits);
uint16_t float_to_bf16(float value);  // the nearest, of two the even one

}  // namespace moesim::bench
