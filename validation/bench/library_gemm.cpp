#include "validation/bench/library_gemm.h"

#include <array>

#include "validation/bench/gpus.h"

namespace moesim::bench {
namespace {

constexpr size_t workspace_bytes = size_t{32} << 20;

template <class Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  check_cublas(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value));
}

template <class Layout>
Layout layout_of(cudaDataType_t type, int rows, int columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&layout, type, uint64_t(rows), uint64_t(columns), rows));
  return Layout(layout);
}

struct DestroyPreference {
  void operator()(cublasLtMatmulPreference_t preference) const { cublasLtMatmulPreferenceDestroy(preference); }
};

}  // namespace

bool has_fp8(const Gpu& gpu) {
  return gpu.properties.major > 8 || (gpu.properties.major == 8 && gpu.properties.minor >= 9);
}

// cuBLAS counts by columns: the transpose of a row-major matrix costs nothing, and c's is w times the transpose of a.
DenseGemm::DenseGemm(const DenseShape& shape, Precision precision) {
  const cudaDataType_t type = precision == Precision::float8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
  cublasLtMatmulDesc_t operation = nullptr;
  check_cublas(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  operation_.reset(operation);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  if (precision == Precision::float8) {
    constexpr size_t apart = 64;  // each aligned as an allocation of its own would be
    scales_ = DeviceArray<float>(2 * apart);
    scales_.upload(std::vector<float>(2 * apart, 1));
    const void* const w_scale = scales_.data();
    const void* const a_scale = scales_.data() + apart;
    set(operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, w_scale);
    set(operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, a_scale);
    set(operation, CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t{1});
  }
  w_ = layout_of<Layout>(type, shape.k, shape.n);
  a_ = layout_of<Layout>(type, shape.k, shape.m);
  c_ = layout_of<Layout>(CUDA_R_16BF, shape.n, shape.m);
  workspace_ = DeviceArray<uint8_t>(workspace_bytes);
}

std::vector<cublasLtMatmulAlgo_t> DenseGemm::algorithms(const Gpu& gpu) const {
  cublasLtMatmulPreference_t created = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&created));
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, DestroyPreference> preference(created);
  check_cublas(cublasLtMatmulPreferenceSetAttribute(created, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                                    sizeof workspace_bytes));
  std::array<cublasLtMatmulHeuristicResult_t, 8> best{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(gpu.cublas_lt, operation_.get(), w_.get(), a_.get(), c_.get(), c_.get(), created,
                                     int(best.size()), best.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check_cublas(status);
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < found; ++i)
    if (best[size_t(i)].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(best[size_t(i)].algo);
  return algorithms;
}

std::optional<DenseGemm> DenseGemm::plan(const Gpu& gpu, const DenseShape& shape, Precision precision, const void* a,
                                         const void* w, bf16* c) {
  if (precision == Precision::float8 && !has_fp8(gpu)) return {};
  DenseGemm gemm(shape, precision);
  // What the heuristic puts first may be refused when it is to run, so each is tried.
  for (const cublasLtMatmulAlgo_t& algorithm : gemm.algorithms(gpu)) {
    gemm.algorithm_ = algorithm;
    const cublasStatus_t status = gemm.enqueue(gpu, a, w, c);
    check_cuda(cudaStreamSynchronize(gpu.stream));
    if (status == CUBLAS_STATUS_SUCCESS) return gemm;
    if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_INVALID_VALUE) check_cublas(status);
  }
  return {};
}

cublasStatus_t DenseGemm::enqueue(const Gpu& gpu, const void* a, const void* w, bf16* c) {
  const float one = 1;
  const float zero = 0;
  return cublasLtMatmul(gpu.cublas_lt, operation_.get(), &one, w, w_.get(), a, a_.get(), &zero, c, c_.get(), c,
                        c_.get(), &algorithm_, workspace_.data(), workspace_bytes, gpu.stream);
}

void DenseGemm::run(const Gpu& gpu, const void* a, const void* w, bf16* c) { check_cublas(enqueue(gpu, a, w, c)); }

LibraryGroupedGemm::LibraryGroupedGemm(const bf16* a, const bf16* w, std::span<const int32_t> offsets,
                                       const GroupedGemm& shape, bf16* c) {
  std::vector<const void*> w_pointers;
  std::vector<const void*> a_pointers;
  std::vector<void*> c_pointers;
  for (int group = 0; group < shape.groups; ++group) {
    const int64_t first = offsets[size_t(group)];
    const int rows = offsets[size_t(group) + 1] - offsets[size_t(group)];
    if (rows == 0) continue;
    m_.push_back(shape.n);
    n_.push_back(rows);
    w_pointers.push_back(w + int64_t(group) * shape.n * shape.k);
    a_pointers.push_back(a + first * shape.k);
    c_pointers.push_back(c + first * shape.n);
  }
  const size_t groups = m_.size();
  k_.assign(groups, shape.k);
  lda_.assign(groups, shape.k);
  ldb_.assign(groups, shape.k);
  ldc_.assign(groups, shape.n);
  sizes_.assign(groups, 1);
  transposed_.assign(groups, CUBLAS_OP_T);
  plain_.assign(groups, CUBLAS_OP_N);
  ones_.assign(groups, 1);
  zeros_.assign(groups, 0);
  w_ = DeviceArray<const void*>(groups);
  w_.upload(w_pointers);
  a_ = DeviceArray<const void*>(groups);
  a_.upload(a_pointers);
  c_ = DeviceArray<void*>(groups);
  c_.upload(c_pointers);
}

void LibraryGroupedGemm::run(const Gpu& gpu) {
  if (m_.empty()) return;
  check_cublas(cublasGemmGroupedBatchedEx(gpu.cublas, transposed_.data(), plain_.data(), m_.data(), n_.data(),
                                          k_.data(), ones_.data(), w_.data(), CUDA_R_16BF, lda_.data(), a_.data(),
                                          CUDA_R_16BF, ldb_.data(), zeros_.data(), c_.data(), CUDA_R_16BF, ldc_.data(),
                                          int(m_.size()), sizes_.data(), CUBLAS_COMPUTE_32F));
}

}  // namespace moesim::bench
