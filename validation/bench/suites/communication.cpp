#include "validation/bench/suites/communication.h"

#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/mpi_ranks.h"

#ifdef MOESIM_NCCL
#include <nccl.h>
#endif

namespace moesim::bench {

#ifdef MOESIM_NCCL

namespace {

void check_nccl(ncclResult_t result, std::source_location at = std::source_location::current()) {
  if (result == ncclSuccess) return;
  throw CudaError(std::string(at.file_name()) + ":" + std::to_string(at.line()) +
                  ": NCCL: " + ncclGetErrorString(result));
}

ncclDataType_t type_of(Number number) { return number == Number::float32 ? ncclFloat32 : ncclBfloat16; }

}  // namespace

std::string why_not_connected(Bench& bench) {
  if (bench.gpus.empty()) return "no GPU";
  if (bench.gpus.front().ranks < 2) return "one GPU";
  if (bench.gpus.front().comm != nullptr) return "";
  ncclUniqueId id{};
  if (bench.gpus.front().rank == 0) check_nccl(ncclGetUniqueId(&id));
  broadcast_from_first(&id, sizeof id);
  on_every_gpu(bench, [&](Gpu& gpu) { check_nccl(ncclCommInitRank(&gpu.comm, gpu.ranks, id, gpu.rank)); });
  return "";
}

void all_to_all(const Gpu& gpu, const void* send, std::span<const int64_t> to_bytes, void* receive,
                std::span<const int64_t> from_bytes, cudaStream_t stream) {
  CHECK(to_bytes.size() == size_t(gpu.ranks));
  CHECK(from_bytes.size() == size_t(gpu.ranks));
  const auto* from_here = static_cast<const std::byte*>(send);
  auto* to_here = static_cast<std::byte*>(receive);
  check_nccl(ncclGroupStart());
  for (int peer = 0; peer < gpu.ranks; ++peer) {
    const int64_t out = to_bytes[size_t(peer)];
    const int64_t in = from_bytes[size_t(peer)];
    if (out > 0) check_nccl(ncclSend(from_here, size_t(out), ncclInt8, peer, gpu.comm, stream));
    if (in > 0) check_nccl(ncclRecv(to_here, size_t(in), ncclInt8, peer, gpu.comm, stream));
    from_here += out;
    to_here += in;
  }
  check_nccl(ncclGroupEnd());
}

void all_reduce(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number, cudaStream_t stream) {
  check_nccl(ncclAllReduce(send, receive, size_t(count), type_of(number), ncclSum, gpu.comm, stream));
}

void all_gather(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number, cudaStream_t stream) {
  check_nccl(ncclAllGather(send, receive, size_t(count), type_of(number), gpu.comm, stream));
}

void reduce_scatter(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number,
                    cudaStream_t stream) {
  check_nccl(ncclReduceScatter(send, receive, size_t(count), type_of(number), ncclSum, gpu.comm, stream));
}

#else

std::string why_not_connected(Bench& bench) {
  return bench.gpus.empty() ? "no GPU" : bench.gpus.front().ranks < 2 ? "one GPU" : "built without NCCL";
}

void all_to_all(const Gpu&, const void*, std::span<const int64_t>, void*, std::span<const int64_t>, cudaStream_t) {
  CHECK(false);
}
void all_reduce(const Gpu&, const void*, void*, int64_t, Number, cudaStream_t) { CHECK(false); }
void all_gather(const Gpu&, const void*, void*, int64_t, Number, cudaStream_t) { CHECK(false); }
void reduce_scatter(const Gpu&, const void*, void*, int64_t, Number, cudaStream_t) { CHECK(false); }

#endif

}  // namespace moesim::bench
