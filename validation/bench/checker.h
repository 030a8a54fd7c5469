// What the checks share: inputs that are the same numbers on host and device, and the account of results.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/core/random.h"
#include "validation/bench/checks.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/reference/reference.h"

namespace moesim::bench {

struct FreeOnDevice {
  void operator()(void* memory) const { cudaFree(memory); }
};

// An array of its own on the device, poisoned until it is written. One element more than asked, so that none is null.
template <class T>
class CheckedArray {
 public:
  CheckedArray(size_t count, cudaStream_t stream) : count_(count), stream_(stream) {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, (count + 1) * sizeof(T)));
    memory_.reset(static_cast<T*>(memory));
    fill_poison(memory_.get(), (count + 1) * sizeof(T), stream);
  }
  CheckedArray(std::span<const T> values, cudaStream_t stream) : CheckedArray(values.size(), stream) {
    check_cuda(cudaMemcpyAsync(memory_.get(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice, stream));
    check_cuda(cudaStreamSynchronize(stream));
  }
  T* data() const { return memory_.get(); }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    check_cuda(cudaMemcpyAsync(values.data(), memory_.get(), count_ * sizeof(T), cudaMemcpyDeviceToHost, stream_));
    check_cuda(cudaStreamSynchronize(stream_));
    return values;
  }

 private:
  size_t count_;
  cudaStream_t stream_;
  std::unique_ptr<T, FreeOnDevice> memory_;
};

// One array of bf16, as floats here and on the device.
struct Input {
  std::vector<float> host;
  CheckedArray<bf16> device;
};

inline std::vector<float> to_floats(const std::vector<bf16>& values) {
  std::vector<float> floats;
  floats.reserve(values.size());
  for (const bf16 value : values) floats.push_back(__bfloat162float(value));
  return floats;
}
inline std::vector<float> to_floats(std::vector<float> values) { return values; }

constexpr double bound_bf16 = 1e-2;
constexpr double bound_fp32 = 1e-4;

struct Checker {
  CheckDevice device;
  CheckSize size;
  Rng rng;
  std::vector<CheckResult> results;

  // The first `small_count` of the shapes, or all.
  template <class Shape>
  std::vector<Shape> shapes(std::vector<Shape> all, size_t small_count) const {
    if (size == CheckSize::small && all.size() > small_count)
      all.erase(all.begin() + ptrdiff_t(small_count), all.end());
    return all;
  }

  template <class T>
  CheckedArray<T> output(size_t count) const {
    return {count, device.stream};
  }
  template <class T>
  CheckedArray<T> upload(const std::vector<T>& values) const {
    return {std::span<const T>(values), device.stream};
  }

  std::vector<float> normal_floats(size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = float(rng.normal());
    return values;
  }
  Input normal_input(size_t count, float scale = 1) {
    std::vector<float> host = normal_floats(count);
    std::vector<bf16> rounded;
    rounded.reserve(count);
    for (float& value : host) {
      value = reference::round_to_bf16(value * scale);
      rounded.push_back(__float2bfloat16(value));
    }
    return {std::move(host), upload(rounded)};
  }

  template <class T>
  void compare(const char* kernel, std::string shape, const CheckedArray<T>& out, std::span<const double> expected) {
    const double bound = std::is_same_v<T, float> ? bound_fp32 : bound_bf16;
    results.push_back(
        {kernel, std::move(shape), reference::relative_error(to_floats(out.download()), expected), bound});
  }
  void compare_integers(const char* kernel, std::string shape, const CheckedArray<int32_t>& out,
                        const std::vector<int32_t>& expected) {
    const std::vector<int32_t> got = out.download();
    size_t different = got.size() == expected.size() ? 0 : 1;
    for (size_t i = 0; i < got.size() && i < expected.size(); ++i) different += got[i] != expected[i] ? 1 : 0;
    const double all = double(expected.empty() ? 1 : expected.size());
    results.push_back({kernel, std::move(shape), double(different) / all, 0});
  }
};

void check_gates(Checker& checker);
void check_order(Checker& checker);
void check_rows(Checker& checker);
void check_grouped_gemm(Checker& checker, const LibraryGemms& library);
void check_attention(Checker& checker);

}  // namespace moesim::bench
