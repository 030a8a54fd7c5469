// GEMMs of NVIDIA's libraries, as the suites time them and the checks check them.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "validation/bench/bench.h"

namespace moesim::bench {

enum class Precision { bfloat16, float8 };
inline const char* precision_name(Precision precision) { return precision == Precision::float8 ? "fp8" : "bf16"; }

struct DenseShape {
  int m = 0;
  int n = 0;
  int k = 0;
};

// c [m, n] = a [m, k] times the transpose of w [n, k], by cuBLASLt with the first algorithm of its
// heuristic that runs.
// c is bf16; sums are fp32. fp8 is e4m3, with one scale for all of a and one for all of w, and with the fast sums of
// inference engines, which keep fewer bits.
class DenseGemm {
 public:
  // Runs it once. Nothing where the library has no algorithm for it on this GPU.
  static std::optional<DenseGemm> plan(const Gpu& gpu, const DenseShape& shape, Precision precision, const void* a,
                                       const void* w, bf16* c);
  DenseGemm(DenseGemm&&) noexcept = default;
  DenseGemm& operator=(DenseGemm&&) noexcept = default;

  void run(const Gpu& gpu, const void* a, const void* w, bf16* c);

 private:
  struct Destroy {
    void operator()(cublasLtMatmulDesc_t operation) const { cublasLtMatmulDescDestroy(operation); }
    void operator()(cublasLtMatrixLayout_t layout) const { cublasLtMatrixLayoutDestroy(layout); }
  };
  using Operation = std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy>;
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy>;

  DenseGemm(const DenseShape& shape, Precision precision);
  std::vector<cublasLtMatmulAlgo_t> algorithms(const Gpu& gpu) const;
  cublasStatus_t enqueue(const Gpu& gpu, const void* a, const void* w, bf16* c);

  Operation operation_;
  Layout w_, a_, c_;
  cublasLtMatmulAlgo_t algorithm_{};
  DeviceArray<uint8_t> workspace_;
  DeviceArray<float> scales_;
};

// Whether this GPU multiplies fp8.
bool has_fp8(const Gpu& gpu);

// c [rows, n] = a [rows, k] times the transpose of w [group][n, k], group by group, by cublasGemmGroupedBatchedEx. The
// library wants the sizes on the host, where an inference engine would have to fetch them from the device first.
class LibraryGroupedGemm {
 public:
  LibraryGroupedGemm(const bf16* a, const bf16* w, std::span<const int32_t> offsets, const GroupedGemm& shape, bf16* c);

  void run(const Gpu& gpu);

 private:
  std::vector<int> m_, n_, k_, lda_, ldb_, ldc_, sizes_;
  std::vector<cublasOperation_t> transposed_, plain_;
  std::vector<float> ones_, zeros_;
  DeviceArray<const void*> w_, a_;
  DeviceArray<void*> c_;
};

}  // namespace moesim::bench
