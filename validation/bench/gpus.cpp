#include "validation/bench/gpus.h"

#include <exception>
#include <mutex>
#include <thread>

#include "validation/bench/mpi_ranks.h"

namespace moesim::bench {

void check_cublas(cublasStatus_t status, std::source_location at) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(std::string(at.file_name()) + ":" + std::to_string(at.line()) +
                  ": cuBLAS: " + cublasGetStatusString(status));
}

int gpus_present(std::string& why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  why = error == cudaSuccess ? "CUDA sees no device" : cudaGetErrorString(error);
  return 0;
}

OpenGpus::OpenGpus(Bench& bench, int gpus) : bench_(bench), meeting_(size_t(gpus)) {
  const Processes all = processes();
  for (int gpu = 0; gpu < gpus; ++gpu)
    open(all.ranks > 1 ? all.rank_on_node : gpu, all.ranks > 1 ? all.rank : gpu, all.ranks > 1 ? all.ranks : gpus);
}

void OpenGpus::open(int device, int rank, int ranks) {
  check_cuda(cudaSetDevice(device));
  if (released_ == nullptr) {
    check_cuda(cudaHostAlloc(&released_, 64, cudaHostAllocPortable | cudaHostAllocMapped));
    *static_cast<volatile uint32_t*>(released_) = 0;
  }
  Gpu gpu;
  gpu.rank = rank;
  gpu.ranks = ranks;
  gpu.device = device;
  check_cuda(cudaGetDeviceProperties(&gpu.properties, device));
  check_cuda(cudaStreamCreateWithFlags(&gpu.stream, cudaStreamNonBlocking));
  check_cublas(cublasLtCreate(&gpu.cublas_lt));
  check_cublas(cublasCreate(&gpu.cublas));
  check_cublas(cublasSetStream(gpu.cublas, gpu.stream));
  auto timing = std::make_unique<Timing>();
  check_cuda(cudaEventCreate(&timing->start));
  check_cuda(cudaEventCreate(&timing->end));
  timing->released = static_cast<volatile uint32_t*>(released_);
  timing->meeting = &meeting_;
  timing->evictor = DeviceArray<uint8_t>(2 * size_t(gpu.properties.l2CacheSize));
  check_cuda(cudaMemset(timing->evictor.data(), 0, timing->evictor.size()));
  gpu.timing = timing.get();
  timings_.push_back(std::move(timing));
  bench_.gpus.push_back(gpu);
}

OpenGpus::~OpenGpus() {
  for (const Gpu& gpu : bench_.gpus) {
    cudaSetDevice(gpu.device);
#ifdef MOESIM_NCCL
    if (gpu.comm != nullptr) ncclCommAbort(gpu.comm);  // not Destroy, which would wait for ranks that have failed
#endif
    cudaEventDestroy(gpu.timing->start);
    cudaEventDestroy(gpu.timing->end);
    gpu.timing->evictor = {};
    cublasDestroy(gpu.cublas);
    cublasLtDestroy(gpu.cublas_lt);
    cudaStreamDestroy(gpu.stream);
  }
  cudaFreeHost(released_);
  bench_.gpus.clear();
}

namespace {

// Communicators that a failed rank has left cannot be used again, and kernels of theirs may wait for it for ever.
void abort_communicators([[maybe_unused]] Bench& bench) {
#ifdef MOESIM_NCCL
  for (Gpu& gpu : bench.gpus) {
    cudaSetDevice(gpu.device);
    if (gpu.comm != nullptr) ncclCommAbort(gpu.comm);
    gpu.comm = nullptr;
  }
#endif
}

// The first exception of several threads; that a thread gave up because of another one counts last.
class FirstError {
 public:
  void keep(std::exception_ptr error, bool is_abandoned) {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr || (abandoned_ && !is_abandoned)) {
      error_ = std::move(error);
      abandoned_ = is_abandoned;
    }
  }
  const std::exception_ptr& error() const { return error_; }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  bool abandoned_ = false;
};

}  // namespace

void on_every_gpu(Bench& bench, const std::function<void(Gpu&)>& body) {
  FirstError first;
  const auto run = [&](Gpu& gpu) {
    try {
      check_cuda(cudaSetDevice(gpu.device));
      body(gpu);
    } catch (const Abandoned&) {
      first.keep(std::current_exception(), true);
    } catch (...) {
      gpu.timing->meeting->abandon();
      first.keep(std::current_exception(), false);
    }
  };
  std::vector<std::thread> threads;
  for (Gpu& gpu : bench.gpus) threads.emplace_back(run, std::ref(gpu));
  for (std::thread& thread : threads) thread.join();
  if (first.error() == nullptr) return;
  abort_communicators(bench);
  bench.gpus.front().timing->meeting->reset();
  std::rethrow_exception(first.error());
}

void on_first_gpu(Bench& bench, const std::function<void(Gpu&)>& body) {
  if (bench.gpus.empty() || bench.gpus.front().rank != 0) return;
  Gpu alone = bench.gpus.front();
  alone.ranks = 1;
  check_cuda(cudaSetDevice(alone.device));
  body(alone);
}

}  // namespace moesim::bench
