#include "validation/bench/suites/moe_layer_device.h"

#include <cmath>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/suites/communication.h"

namespace moesim::bench {
namespace {

constexpr int64_t value_bytes = 2;  // bf16

int experts_of(const LayerShape& shape, int ranks, int rank) {
  return first_expert(shape.experts, ranks, rank + 1) - first_expert(shape.experts, ranks, rank);
}

int experts_of_most(const LayerShape& shape, int ranks) {
  int most = 0;
  for (int rank = 0; rank < ranks; ++rank) most = std::max(most, experts_of(shape, ranks, rank));
  return most;
}

// scores [tokens, experts] = x [tokens, d] times the transpose of router [experts, d]; cuBLAS counts by columns.
void multiply_by_router(const Gpu& gpu, const LayerShape& shape, int tokens, const bf16* x, const bf16* router,
                        float* scores) {
  const float one = 1;
  const float zero = 0;
  CHECK(cublasSetStream(gpu.cublas, gpu.stream) == CUBLAS_STATUS_SUCCESS);
  const cublasStatus_t status = cublasGemmEx(gpu.cublas, CUBLAS_OP_T, CUBLAS_OP_N, shape.experts, tokens, shape.d, &one,
                                             router, CUDA_R_16BF, shape.d, x, CUDA_R_16BF, shape.d, &zero, scores,
                                             CUDA_R_32F, shape.experts, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS) throw CudaError(std::string("cuBLAS: ") + cublasGetStatusString(status));
}

template <class T>
DeviceArray<T> array(int64_t rows, int64_t width) {
  return DeviceArray<T>(size_t(std::max<int64_t>(rows, 1)) * size_t(width));
}

// An array of at least one element, so that an empty chunk has a pointer too.
DeviceArray<int32_t> uploaded(const std::vector<int32_t>& values) {
  const std::vector<int32_t> some = values.empty() ? std::vector<int32_t>{0} : values;
  DeviceArray<int32_t> on_device(some.size());
  on_device.upload(some);
  return on_device;
}

cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

void set_up_chunks(MoeLayer& layer, const Gpu& gpu, const Routing& routing, int chunks) {
  int64_t sent = 0;
  int64_t received = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const ChunkExchange plan = plan_exchange(routing, gpu.rank, chunk, chunks);
    ChunkOnDevice& c = layer.chunks.emplace_back();
    for (int peer = 0; peer < gpu.ranks; ++peer) {
      c.send_bytes.push_back(plan.send_rows[size_t(peer)] * layer.shape.d * value_bytes);
      c.receive_bytes.push_back(plan.receive_rows[size_t(peer)] * layer.shape.d * value_bytes);
    }
    c.rows_sent = int(plan.sent);
    c.rows_received = int(plan.received);
    c.first_sent = sent;
    c.first_received = received;
    c.offsets = uploaded(plan.offsets);
    c.regroup = uploaded(plan.regroup);
    c.unregroup = uploaded(plan.unregroup);
    sent += plan.sent;
    received += plan.received;
  }
}

void set_up_streams(MoeLayer& layer, int chunks) {
  if (chunks < 2) return;
  check_cuda(cudaStreamCreateWithFlags(&layer.dispatch_stream, cudaStreamNonBlocking));
  check_cuda(cudaStreamCreateWithFlags(&layer.combine_stream, cudaStreamNonBlocking));
  layer.permuted_event.push_back(new_event());
  for (int chunk = 0; chunk < chunks; ++chunk) {
    layer.dispatched.push_back(new_event());
    layer.computed.push_back(new_event());
    layer.combined.push_back(new_event());
  }
}

int64_t rows_received(const Routing& routing, int rank) {
  return routing.ranks == 1 ? int64_t(routing.tokens) * routing.k : plan_exchange(routing, rank, 0, 1).received;
}

void then(cudaStream_t first, cudaEvent_t event, cudaStream_t second) {
  check_cuda(cudaEventRecord(event, first));
  check_cuda(cudaStreamWaitEvent(second, event, 0));
}

}  // namespace

int64_t weight_bytes(const LayerShape& shape, int ranks) {
  return value_bytes * shape.d * (int64_t(shape.experts) + 3 * int64_t(shape.f) * experts_of_most(shape, ranks));
}

void fill_router(DeviceArray<bf16>& router, const LayerShape& shape, int layer, cudaStream_t stream) {
  fill_normal(router.data(), int64_t(router.size()), 2 / std::sqrt(float(shape.d)), splitmix64(uint64_t(layer)),
              stream);
}

void fill_expert(bf16* up, bf16* down, const LayerShape& shape, int layer, int expert, cudaStream_t stream) {
  const uint64_t seed = splitmix64(uint64_t(layer) * 4096 + uint64_t(expert) + 1);
  const int64_t count = int64_t(shape.d) * shape.f;
  fill_normal(up, 2 * count, 1 / std::sqrt(float(shape.d)), seed, stream);
  fill_normal(down, count, 1 / std::sqrt(float(shape.f)), seed + 1, stream);
}

void fill_tokens(DeviceArray<bf16>& x, int rank, cudaStream_t stream) {
  fill_normal(x.data(), int64_t(x.size()), 1, splitmix64(0x70000 + uint64_t(rank)), stream);
}

LayerWeights make_weights(const Gpu& gpu, const LayerShape& shape, int layer) {
  const int here = experts_of(shape, gpu.ranks, gpu.rank);
  const int64_t count = int64_t(shape.d) * shape.f;
  LayerWeights weights{array<bf16>(shape.experts, shape.d), array<bf16>(here, 2 * count), array<bf16>(here, count)};
  fill_router(weights.router, shape, layer, gpu.stream);
  for (int expert = 0; expert < here; ++expert)
    fill_expert(weights.up.data() + 2 * count * expert, weights.down.data() + count * expert, shape, layer,
                first_expert(shape.experts, gpu.ranks, gpu.rank) + expert, gpu.stream);
  return weights;
}

MoeLayer::~MoeLayer() {
  for (const auto* events : {&permuted_event, &dispatched, &computed, &combined})
    for (cudaEvent_t event : *events) cudaEventDestroy(event);
  if (dispatch_stream != nullptr) cudaStreamDestroy(dispatch_stream);
  if (combine_stream != nullptr) cudaStreamDestroy(combine_stream);
}

int64_t activation_bytes(const LayerShape& shape, const Routing& routing, int rank) {
  const int64_t tokens = routing.tokens;
  const int64_t here = rows_received(routing, rank);
  return value_bytes * (2 * tokens * shape.d + 2 * tokens * shape.k * shape.d + here * (4 * shape.d + 3 * shape.f)) +
         4 * tokens * (int64_t(shape.experts) + 6 * shape.k);
}

void set_up(MoeLayer& layer, const Gpu& gpu, const LayerShape& shape, const Routing& routing, int chunks) {
  CHECK(chunks == 1 || gpu.ranks > 1);
  layer.shape = shape;
  layer.tokens = routing.tokens;
  layer.experts_here = experts_of(shape, gpu.ranks, gpu.rank);
  const int64_t tokens = routing.tokens;
  const int64_t choices = tokens * shape.k;
  const int64_t here = rows_received(routing, gpu.rank);
  layer.x = array<bf16>(tokens, shape.d);
  layer.out = array<bf16>(tokens, shape.d);
  layer.scores = array<float>(tokens, shape.experts);
  layer.gate_weights = array<float>(tokens, shape.k);
  layer.gate_ids = array<int32_t>(tokens, shape.k);
  layer.ids = uploaded(ids_by_chunk(routing, gpu.rank, chunks));
  layer.counts = array<int32_t>(chunks, shape.experts);
  layer.order_offsets = array<int32_t>(chunks * shape.experts + 1, 1);
  layer.row_of_slot = array<int32_t>(choices, 1);
  layer.slot_of_choice = array<int32_t>(choices, 1);
  layer.order_workspace =
      array<uint8_t>(int64_t(order_by_expert_bytes(routing.tokens, shape.k, chunks * shape.experts)), 1);
  layer.permuted = array<bf16>(choices, shape.d);
  layer.returned = array<bf16>(choices, shape.d);
  layer.up = array<bf16>(here, 2 * shape.f);
  layer.active = array<bf16>(here, shape.f);
  if (gpu.ranks > 1)
    for (DeviceArray<bf16>* rows : {&layer.received, &layer.grouped, &layer.down, &layer.ungrouped})
      *rows = array<bf16>(here, shape.d);
  set_up_chunks(layer, gpu, routing, chunks);
  set_up_streams(layer, chunks);
  fill_tokens(layer.x, gpu.rank, gpu.stream);
}

namespace phase {

void gate(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights) {
  multiply_by_router(gpu, layer.shape, layer.tokens, layer.x.data(), weights.router.data(), layer.scores.data());
  softmax_top_k(layer.scores.data(), layer.tokens, layer.shape.experts, layer.shape.k, Normalize::yes,
                layer.gate_weights.data(), layer.gate_ids.data(), gpu.stream);
}

void order(MoeLayer& layer, const Gpu& gpu) {
  const ExpertOrder made{layer.counts.data(), layer.order_offsets.data(), layer.row_of_slot.data(),
                         layer.slot_of_choice.data()};
  order_by_expert(layer.ids.data(), layer.tokens, layer.shape.k, int(layer.chunks.size()) * layer.shape.experts, made,
                  layer.order_workspace.data(), layer.order_workspace.size(), gpu.stream);
}

void permute(MoeLayer& layer, const Gpu& gpu) {
  permute_rows(layer.x.data(), layer.row_of_slot.data(), layer.tokens * layer.shape.k, layer.shape.d,
               layer.permuted.data(), gpu.stream);
}

void dispatch(MoeLayer& layer, const Gpu& gpu, size_t chunk, cudaStream_t stream) {
  if (gpu.ranks == 1) return;
  const ChunkOnDevice& c = layer.chunks[chunk];
  all_to_all(gpu, layer.permuted.data() + c.first_sent * layer.shape.d, c.send_bytes,
             layer.received.data() + c.first_received * layer.shape.d, c.receive_bytes, stream);
}

void regroup(MoeLayer& layer, const Gpu& gpu, size_t chunk) {
  if (gpu.ranks == 1) return;
  const ChunkOnDevice& c = layer.chunks[chunk];
  const int64_t first = c.first_received * layer.shape.d;
  gather_rows(layer.received.data() + first, c.regroup.data(), c.rows_received, layer.shape.d,
              layer.grouped.data() + first, gpu.stream);
}

void experts(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights, size_t chunk) {
  const ChunkOnDevice& c = layer.chunks[chunk];
  const LayerShape& s = layer.shape;
  const int64_t first = c.first_received;
  const bf16* in = gpu.ranks == 1 ? layer.permuted.data() : layer.grouped.data() + first * s.d;
  bf16* out = gpu.ranks == 1 ? layer.returned.data() : layer.down.data() + first * s.d;
  const int sms = gpu.properties.multiProcessorCount;
  grouped_gemm(in, weights.up.data(), c.offsets.data(), {c.rows_received, layer.experts_here, 2 * s.f, s.d},
               layer.up.data() + first * 2 * s.f, sms, gpu.stream);
  swiglu(layer.up.data() + first * 2 * s.f, c.rows_received, s.f, layer.active.data() + first * s.f, gpu.stream);
  grouped_gemm(layer.active.data() + first * s.f, weights.down.data(), c.offsets.data(),
               {c.rows_received, layer.experts_here, s.d, s.f}, out, sms, gpu.stream);
}

void unregroup(MoeLayer& layer, const Gpu& gpu, size_t chunk) {
  if (gpu.ranks == 1) return;
  const ChunkOnDevice& c = layer.chunks[chunk];
  const int64_t first = c.first_received * layer.shape.d;
  gather_rows(layer.down.data() + first, c.unregroup.data(), c.rows_received, layer.shape.d,
              layer.ungrouped.data() + first, gpu.stream);
}

void combine(MoeLayer& layer, const Gpu& gpu, size_t chunk, cudaStream_t stream) {
  if (gpu.ranks == 1) return;
  const ChunkOnDevice& c = layer.chunks[chunk];
  all_to_all(gpu, layer.ungrouped.data() + c.first_received * layer.shape.d, c.receive_bytes,
             layer.returned.data() + c.first_sent * layer.shape.d, c.send_bytes, stream);
}

void unpermute(MoeLayer& layer, const Gpu& gpu) {
  bench::unpermute(layer.returned.data(), layer.slot_of_choice.data(), layer.gate_weights.data(), layer.tokens,
                   layer.shape.k, layer.shape.d, layer.out.data(), gpu.stream);
}

}  // namespace phase

// A communicator runs its operations in the order in which they are enqueued, whatever their streams. So all
// dispatches are enqueued before the first combine, which waits for experts.
void run_layer(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights) {
  const size_t chunks = layer.chunks.size();
  const bool overlap = chunks > 1;
  phase::gate(layer, gpu, weights);
  phase::order(layer, gpu);
  phase::permute(layer, gpu);
  if (overlap) then(gpu.stream, layer.permuted_event[0], layer.dispatch_stream);
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    phase::dispatch(layer, gpu, chunk, overlap ? layer.dispatch_stream : gpu.stream);
    if (overlap) check_cuda(cudaEventRecord(layer.dispatched[chunk], layer.dispatch_stream));
  }
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    if (overlap) check_cuda(cudaStreamWaitEvent(gpu.stream, layer.dispatched[chunk], 0));
    phase::regroup(layer, gpu, chunk);
    phase::experts(layer, gpu, weights, chunk);
    phase::unregroup(layer, gpu, chunk);
    if (overlap) then(gpu.stream, layer.computed[chunk], layer.combine_stream);
    phase::combine(layer, gpu, chunk, overlap ? layer.combine_stream : gpu.stream);
    if (overlap) check_cuda(cudaEventRecord(layer.combined[chunk], layer.combine_stream));
  }
  if (overlap)
    for (cudaEvent_t combined : layer.combined) check_cuda(cudaStreamWaitEvent(gpu.stream, combined, 0));
  phase::unpermute(layer, gpu);
}

}  // namespace moesim::bench
