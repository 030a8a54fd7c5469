// An expert-parallel MoE layer on one rank: its buffers, and its phases as functions that enqueue kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "validation/bench/bench.h"
#include "validation/bench/suites/routing.h"

namespace moesim::bench {

// The weights of one layer on one rank, those of its own experts alone. Random numbers that depend on the layer and
// the expert, not on the rank, so that any rank can make any expert's again.
struct LayerWeights {
  DeviceArray<bf16> router;  // [experts, d]
  DeviceArray<bf16> up;      // [local experts][2 f, d]
  DeviceArray<bf16> down;    // [local experts][d, f]
};
int64_t weight_bytes(const LayerShape& shape, int ranks);
LayerWeights make_weights(const Gpu& gpu, const LayerShape& shape, int layer);
void fill_router(DeviceArray<bf16>& router, const LayerShape& shape, int layer, cudaStream_t stream);
void fill_expert(bf16* up, bf16* down, const LayerShape& shape, int layer, int expert, cudaStream_t stream);
void fill_tokens(DeviceArray<bf16>& x, int rank, cudaStream_t stream);

// One chunk's exchange, and what the experts make of it.
struct ChunkOnDevice {
  std::vector<int64_t> send_bytes;     // [rank]
  std::vector<int64_t> receive_bytes;  // [rank]
  int rows_sent = 0;
  int rows_received = 0;
  int64_t first_sent = 0;  // the rows of this chunk in the arrays of all chunks
  int64_t first_received = 0;
  DeviceArray<int32_t> offsets, regroup, unregroup;
};

// With several chunks, dispatch and combine run on streams of their own, beside the experts of other chunks.
struct MoeLayer {
  LayerShape shape;
  int tokens = 0;
  int experts_here = 0;
  std::vector<ChunkOnDevice> chunks;
  // [tokens, d], [tokens, experts], [tokens, k]
  DeviceArray<bf16> x, out;
  DeviceArray<float> scores, gate_weights;
  DeviceArray<int32_t> gate_ids, ids;
  // What order_by_expert makes of ids.
  DeviceArray<int32_t> counts, order_offsets, row_of_slot, slot_of_choice;
  DeviceArray<uint8_t> order_workspace;
  // Rows of d on the side of the tokens, in the order in which they are sent and come back.
  DeviceArray<bf16> permuted, returned;
  // Rows on the side of the experts: as they arrive, by expert, [2 f], [f], [d], as they leave.
  DeviceArray<bf16> received, grouped, up, active, down, ungrouped;
  cudaStream_t dispatch_stream = nullptr;
  cudaStream_t combine_stream = nullptr;
  std::vector<cudaEvent_t> permuted_event, dispatched, computed, combined;  // [chunk]; the first has one

  MoeLayer() = default;
  MoeLayer(const MoeLayer&) = delete;
  MoeLayer& operator=(const MoeLayer&) = delete;
  ~MoeLayer();
};
int64_t activation_bytes(const LayerShape& shape, const Routing& routing, int rank);
void set_up(MoeLayer& layer, const Gpu& gpu, const LayerShape& shape, const Routing& routing, int chunks);

// Phases, on gpu.stream; those with a chunk do what belongs to it. On one rank, rows are sent nowhere: dispatch,
// regroup, unregroup and combine do nothing, and the experts read what permute wrote.
namespace phase {
void gate(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights);
void order(MoeLayer& layer, const Gpu& gpu);
void permute(MoeLayer& layer, const Gpu& gpu);
void dispatch(MoeLayer& layer, const Gpu& gpu, size_t chunk, cudaStream_t stream);
void regroup(MoeLayer& layer, const Gpu& gpu, size_t chunk);
void experts(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights, size_t chunk);
void unregroup(MoeLayer& layer, const Gpu& gpu, size_t chunk);
void combine(MoeLayer& layer, const Gpu& gpu, size_t chunk, cudaStream_t stream);
void unpermute(MoeLayer& layer, const Gpu& gpu);
}  // namespace phase

// All phases: in sequence with one chunk, overlapped with several.
void run_layer(MoeLayer& layer, const Gpu& gpu, const LayerWeights& weights);

}  // namespace moesim::bench
