#include "validation/bench/suites/interference_work.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/suites/communication.h"

namespace moesim::bench {
namespace {

struct Dense {
  int m, n, k;
};
constexpr Dense large{16384, 16384, 8192};
constexpr Dense few_rows{64, 16384, 8192};
constexpr GroupedGemm experts{16384, 32, 8192, 2048};  // rows, groups, n, k
constexpr int64_t copied = int64_t{128} << 20;
constexpr int small_rows = 64;
constexpr int small_width = 4096;

void check_cublas(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) throw CudaError(std::string("cuBLAS: ") + cublasGetStatusString(status));
}

// c [m, n] = a [m, k] times the transpose of w [n, k]; cuBLAS counts by columns.
void multiply(cublasHandle_t cublas, const Dense& s, const bf16* a, const bf16* w, bf16* c, cudaStream_t stream) {
  const float one = 1;
  const float zero = 0;
  check_cublas(cublasSetStream(cublas, stream));
  check_cublas(cublasGemmEx(cublas, CUBLAS_OP_T, CUBLAS_OP_N, s.n, s.m, s.k, &one, w, CUDA_R_16BF, s.k, a, CUDA_R_16BF,
                            s.k, &zero, c, CUDA_R_16BF, s.n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

Work dense_work(const std::string& name, const Dense& shape, Side side, WorkBed& bed) {
  const size_t i = side == Side::first ? 0 : 1;
  return {
      name, {{"m", shape.m}, {"n", shape.n}, {"k", shape.k}, {"dtype", "bf16"}}, 1, [&bed, shape, i](cudaStream_t s) {
        multiply(bed.cublas[i], shape, bed.a.data(), bed.w.data(), bed.c[i].data(), s);
      }};
}

Work grouped_work(Side side, WorkBed& bed, const Gpu& gpu) {
  const size_t i = side == Side::first ? 0 : 1;
  const int sms = gpu.properties.multiProcessorCount;
  return {
      "grouped_gemm",
      {{"rows", experts.rows}, {"groups", experts.groups}, {"n", experts.n}, {"k", experts.k}, {"kernel", "moesim"}},
      1,
      [&bed, i, sms](cudaStream_t s) {
        grouped_gemm(bed.a.data(), bed.grouped_w.data(), bed.offsets.data(), experts, bed.c[i].data(), sms, s);
      }};
}

Work copy_work(const std::string& name, WorkBed& bed, const Gpu& gpu, const Peer& peer) {
  std::function<void(cudaStream_t)> enqueue;
  if (name == "h2d_copy")
    enqueue = [&bed](cudaStream_t s) {
      check_cuda(cudaMemcpyAsync(bed.to.data(), bed.host[0], size_t(copied), cudaMemcpyHostToDevice, s));
    };
  else if (name == "d2h_copy")
    enqueue = [&bed](cudaStream_t s) {
      check_cuda(cudaMemcpyAsync(bed.host[1], bed.from.data(), size_t(copied), cudaMemcpyDeviceToHost, s));
    };
  else if (name == "d2d_copy")
    enqueue = [&bed](cudaStream_t s) {
      check_cuda(cudaMemcpyAsync(bed.to.data(), bed.from.data(), size_t(copied), cudaMemcpyDeviceToDevice, s));
    };
  else
    enqueue = [&bed, peer](cudaStream_t s) {  // cudaMemcpyPeerAsync cannot be captured in a graph
      check_cuda(cudaMemcpyAsync(peer.memory, bed.from.data(), size_t(copied), cudaMemcpyDefault, s));
    };
  return {name, {{"bytes", copied}, {"at_once", gpu.ranks}}, 1, enqueue};
}

Work exchange_work(WorkBed& bed, const Gpu& gpu) {
  const std::vector<int64_t> parts(size_t(gpu.ranks), copied / gpu.ranks / 16 * 16);
  return {
      "all_to_all", {{"ranks", gpu.ranks}, {"bytes", parts[0] * gpu.ranks}}, 1, [&bed, &gpu, parts](cudaStream_t s) {
        all_to_all(gpu, bed.from.data(), parts, bed.to.data(), parts, s);
      }};
}

}  // namespace

void set_up(WorkBed& bed, const Gpu& gpu) {
  const size_t c_values = size_t(large.m) * size_t(large.n);
  bed.a = DeviceArray<bf16>(size_t(large.m) * size_t(large.k));
  bed.w = DeviceArray<bf16>(size_t(large.n) * size_t(large.k));
  bed.grouped_w = DeviceArray<bf16>(size_t(experts.groups) * size_t(experts.n) * size_t(experts.k));
  for (DeviceArray<bf16>* in : {&bed.a, &bed.w, &bed.grouped_w})
    fill_normal(in->data(), int64_t(in->size()), 0.02F, 5, gpu.stream);
  for (size_t i = 0; i < 2; ++i) {
    bed.c[i] = DeviceArray<bf16>(c_values);
    fill_normal(bed.c[i].data(), int64_t(c_values), 1, 6, gpu.stream);
    check_cuda(cudaMallocHost(&bed.host[i], size_t(copied)));
    std::memset(bed.host[i], 1, size_t(copied));
    check_cublas(cublasCreate(&bed.cublas[i]));
  }
  for (DeviceArray<uint8_t>* bytes : {&bed.from, &bed.to, &bed.from_peer}) {
    *bytes = DeviceArray<uint8_t>(size_t(copied));
    check_cuda(cudaMemsetAsync(bytes->data(), 1, size_t(copied), gpu.stream));
  }
  std::vector<int32_t> offsets;
  for (int group = 0; group <= experts.groups; ++group) offsets.push_back(experts.rows / experts.groups * group);
  bed.offsets = DeviceArray<int32_t>(offsets.size());
  bed.offsets.upload(offsets);
  check_cuda(cudaStreamCreateWithFlags(&bed.second_stream, cudaStreamNonBlocking));
  check_cuda(cudaStreamSynchronize(gpu.stream));
}

WorkBed::~WorkBed() {
  for (size_t i = 0; i < 2; ++i) {
    if (host[i] != nullptr) cudaFreeHost(host[i]);
    if (cublas[i] != nullptr) cublasDestroy(cublas[i]);
  }
  if (second_stream != nullptr) cudaStreamDestroy(second_stream);
}

Work make_work(const std::string& name, Side side, WorkBed& bed, const Gpu& gpu, const Peer& peer) {
  const size_t i = side == Side::first ? 0 : 1;
  if (name == "gemm") return dense_work(name, large, side, bed);
  if (name == "gemm_few_rows") return dense_work(name, few_rows, side, bed);
  if (name == "grouped_gemm") return grouped_work(side, bed, gpu);
  if (name == "all_to_all") return exchange_work(bed, gpu);
  if (name == "memory_kernel") {  // SwiGLU over half of an output, into the other half
    constexpr int rows = 8192;
    constexpr int f = 8192;
    return {name, {{"op", "swiglu"}, {"rows", rows}, {"f", f}}, 1, [&bed, i](cudaStream_t s) {
              swiglu(bed.c[i].data(), rows, f, bed.c[i].data() + int64_t(rows) * 2 * f, s);
            }};
  }
  if (name == "small_kernels")
    return {name, {{"op", "rms_norm"}, {"rows", small_rows}, {"width", small_width}}, 1, [&bed, i](cudaStream_t s) {
              rms_norm(bed.a.data(), bed.w.data(), small_rows, small_width, 1e-5F, bed.c[i].data(), s);
            }};
  return copy_work(name, bed, gpu, peer);
}

// --- CPU load ------------------------------------------------------------------------------------------------------

struct CpuLoad::Shared {
  std::atomic<bool> stop{false};
  std::atomic<int64_t> bytes{0};
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
};

CpuLoad::CpuLoad(int threads) : shared_(std::make_unique<Shared>()) {
  constexpr size_t size = size_t{64} << 20;
  constexpr size_t piece = size_t{1} << 20;
  for (int i = 0; i < threads; ++i)
    shared_->threads.emplace_back([shared = shared_.get()] {
      std::vector<char> from(size, 1);
      std::vector<char> to(size, 2);
      for (size_t at = 0; !shared->stop; at = (at + piece) % size) {
        std::memcpy(to.data() + at, from.data() + at, piece);
        shared->bytes += 2 * int64_t(piece);
      }
    });
}

CpuLoad::~CpuLoad() {
  shared_->stop = true;
  for (std::thread& thread : shared_->threads) thread.join();
}

double CpuLoad::bytes_per_s() {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - shared_->since).count();
  shared_->since = now;
  return double(shared_->bytes.exchange(0)) / seconds;
}

}  // namespace moesim::bench
