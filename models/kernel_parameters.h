// What kernels of a software stack reach of a GPU's data sheet, and what they cost beside their work. All rates are
// fractions of the data sheet's, so that the parameters measured on one GPU say something of its relatives.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/units.h"

namespace moesim {

// The output tile of one thread block of a GEMM. A tile takes (k + extra_k) * 2 * rows * columns operations at
// `compute` of one SM's peak rate.
struct TileParameters {
  int64_t rows = 128;
  int64_t columns = 256;
  double compute = 0.8;
  double extra_k = 0;  // start and end of a tile, as so much more k
  double memory = 1;   // of what the kernel's other tiles reach of the bandwidth
  double alone = 1;    // time on an SM with no block beside it, of that with as many as fit
};

template <class Visitor>
void fields(Visitor& v, TileParameters& s) {
  v.required("rows", s.rows, between<int64_t>(1, 4096), "of the output tile, along m");
  v.required("columns", s.columns, between<int64_t>(1, 4096), "of the output tile, along n");
  v.required("compute", s.compute, Range<double>{0, 1, true}, "of the peak rate while the tile multiplies");
  v.optional("extra_k", s.extra_k, between(0.0, 1e6), "start and end of a tile, as so much more k");
  v.optional("memory", s.memory, Range<double>{0, 1, true}, "of the kernel's fraction of the peak bandwidth");
  v.optional("alone", s.alone, Range<double>{0.1, 1},
             "where several blocks share an SM: a wave in which each has an SM to itself, as a part of a full one");
}

// Measured over predicted at so much work (multiply-adds), where the formula fits badly. Between two entries the
// logarithm of the factor goes straight with that of the work; beyond the ends it stays.
struct WorkCorrection {
  double work = 1;
  double factor = 1;
};

template <class Visitor>
void fields(Visitor& v, WorkCorrection& s) {
  v.required("work", s.work, above(0.0), "multiply-adds of the kernel; rising from entry to entry");
  v.required("factor", s.factor, between(0.1, 10.0), "what the time of the formula is multiplied by");
}

// Products that last make the clock fall, as the GPU meets its power limit: compute * (1 + most * compute / (compute +
// half)). Fitted on GEMMs and whole layers of up to 30 ms on an H100; none by default.
struct ThrottleParameters {
  double most = 0;
  Duration half{10'000'000'000};  // the compute time that takes half of it
};

template <class Visitor>
void fields(Visitor& v, ThrottleParameters& s) {
  v.optional("most", s.most, between(0.0, 1.0), "what products that last lose to the power limit, as a part of them");
  v.optional("half", s.half, between(Duration{1'000'000}, Duration{1'000'000'000'000}),
             "products of this length lose half of that");
}

struct GemmParameters {
  Duration launch{1'600'000};  // as one node of a CUDA graph
  double memory = 0.866;       // 2.9 TB/s
  int64_t split_k = 1024;      // fewer tiles than SMs: k is split among the idle ones, in parts of at least so much
  Duration depth{};            // of each 1,024 of k, beside all else
  Duration split{};            // to add up the parts of k, beside the bytes of their sums; 0: nothing
  Bytes cached{};              // activations and results that stay in L2; twice as many do not
  double cached_memory = 1;    // of the peak bandwidth, what L2 holds
  // The library takes the fastest. 0.786: 777 Tflop/s.
  std::vector<TileParameters> tiles{
      {128, 256, 0.786, 0}, {128, 128, 0.786 * 0.88, 0}, {64, 128, 0.786 * 0.88 * 0.88, 0}};
  std::vector<WorkCorrection> corrections;
};

template <class Visitor>
void fields(Visitor& v, GemmParameters& s) {
  v.optional("launch", s.launch, between(Duration{}, Duration{1'000'000'000}), "fixed time of a dense GEMM");
  v.optional("memory", s.memory, Range<double>{0, 1, true}, "of the peak bandwidth");
  v.optional("split_k", s.split_k, between<int64_t>(1, 1'000'000), "least part of k that a thread block takes");
  v.optional("depth", s.depth, between(Duration{}, Duration{1'000'000'000}), "of each 1,024 of k, beside all else");
  v.optional("split", s.split, between(Duration{}, Duration{1'000'000'000}),
             "to add up the parts of k, beside the bytes of their sums; 0: nothing is added up");
  v.optional("cached", s.cached, between(Bytes{}, Bytes{1'000'000'000}),
             "activations and results that the L2 cache holds; of twice as many it holds none");
  v.optional("cached_memory", s.cached_memory, between(0.01, 10.0), "of the peak bandwidth, what the cache holds");
  v.optional("tiles", s.tiles, "output tiles to choose from; the fastest is taken");
  v.optional("corrections", s.corrections, "by work, where the formula fits badly; none: as the formula says");
}

enum class TileChoice { fastest, mean_rows };

constexpr auto enum_names(TileChoice) {
  return std::to_array<std::pair<TileChoice, const char*>>(
      {{TileChoice::fastest, "fastest"}, {TileChoice::mean_rows, "mean_rows"}});
}

struct GroupedGemmParameters {
  Duration launch{4'000'000};
  double memory = 0.896;  // 3.0 TB/s
  TileChoice choice = TileChoice::fastest;
  int64_t mean_rows_max = 128;   // with `mean_rows`: the first tile up to here, the second beyond
  double few_rows = 0;           // of a group with one row, how much longer its weights take; none from four rows on
  int64_t rows_per_cluster = 2;  // tiles along m that share weights, so that groups are padded to them
  int32_t blocks_per_sm = 1;     // above 1: persistent thread blocks, so many on an SM, each with every so-manieth tile
  // 5.4 ns per unit of k and 134 ns a 64 x 128 tile, 11.4 ns and 2,040 ns a 128 x 256 tile.
  std::vector<TileParameters> tiles{{64, 128, 0.405, 25}, {128, 256, 0.768, 179}};
};

template <class Visitor>
void fields(Visitor& v, GroupedGemmParameters& s) {
  v.optional("launch", s.launch, between(Duration{}, Duration{1'000'000'000}), "fixed time of a grouped GEMM");
  v.optional("memory", s.memory, Range<double>{0, 1, true}, "of the peak bandwidth");
  v.optional("choice", s.choice, "the fastest tile, or by the mean rows of all groups");
  v.optional("mean_rows_max", s.mean_rows_max, between<int64_t>(0, 1'000'000),
             "where `choice` is mean_rows: the first tile up to so many rows a group or columns, else the second");
  v.optional("few_rows", s.few_rows, between(0.0, 2.0),
             "how much longer the memory's part takes at one row a group; falls to none at four");
  v.optional("rows_per_cluster", s.rows_per_cluster, between<int64_t>(1, 16),
             "tiles along m that a cluster of thread blocks takes together; groups are padded to them");
  v.optional("blocks_per_sm", s.blocks_per_sm, between<int32_t>(1, 8), "thread blocks that share an SM");
  v.optional("tiles", s.tiles, "output tiles to choose from");
}

// A kernel whose thread blocks take 128 queries of one head and walk over the keys in tiles of 64, and that in decode
// splits the keys among blocks of 16 heads that share them and adds up their sums in a second kernel.
struct AttentionBlocks {
  Duration start{5'000'000};  // of a prefill's block, before its first and after its last tile
  double tail = 0.2;          // of a block's mean time: what the last blocks wait for each other
  double decode = 0.25;       // of the peak rate, in decode
  Duration split{50'000};     // in the second kernel, for each part of the keys
  double sums = 0.9;          // of the peak bandwidth, the parts' sums written and read in L2; beyond it: `ends`
};

template <class Visitor>
void fields(Visitor& v, AttentionBlocks& s) {
  const auto time = between(Duration{}, Duration{1'000'000'000});
  v.optional("start", s.start, time, "of a thread block with new queries, before its first and after its last tile");
  v.optional("tail", s.tail, between(0.0, 2.0), "what the last thread blocks wait, in mean times of a block");
  v.optional("decode", s.decode, Range<double>{0, 1, true}, "of the peak rate, where each request has one new token");
  v.optional("split", s.split, time, "of each part that the keys of a decode are split into, for 128 values of a head");
  v.optional("sums", s.sums, between(0.01, 10.0), "of the peak bandwidth, the sums of the parts in the L2 cache");
}

struct AttentionParameters {
  Duration launch{8'800'000};  // start-up and the final reduction of split KV
  Duration launch_decode{8'800'000};
  double compute = 0.654;  // 647 Tflop/s; FlashMLA measured 0.67 on H800
  double memory = 0.934;   // 3.13 TB/s; FlashMLA measured 0.90 on H800
  double ends = 0.934;     // queries in, results out; with blocks the sums of a decode's parts that L2 does not hold
  double extra_dim = 0;    // softmax
  std::optional<AttentionBlocks> blocks{};  // absent: work goes evenly to all SMs
  // What some engines' kernels show beside: keys and values that several blocks of queries read again, and blocks of a
  // decode that take time however few keys they have. vLLM on an H100: 0.17, 3.1 us, 29 ns.
  std::optional<double> memory_prefill{};
  std::optional<Duration> decode_kv_head{};
  std::optional<Duration> decode_head{};
};

template <class Visitor>
void fields(Visitor& v, AttentionParameters& s) {
  const auto time = between(Duration{}, Duration{1'000'000'000});
  v.optional("launch", s.launch, time, "fixed time of attention with several new tokens of a request");
  v.optional("launch_decode", s.launch_decode, time, "fixed time where each request has one new token");
  v.optional("compute", s.compute, Range<double>{0, 1, true}, "of the peak rate");
  v.optional("memory", s.memory, Range<double>{0, 1, true}, "of the peak bandwidth, keys and values");
  v.optional("ends", s.ends, Range<double>{0, 1, true}, "of the peak bandwidth, queries and results");
  v.optional("extra_dim", s.extra_dim, between(0.0, 1000.0),
             "softmax of a score, as so many more dimensions of a head");
  v.optional("blocks", s.blocks, "thread blocks of 128 queries and 64 keys; absent: work goes evenly to all SMs");
  v.optional("memory_prefill", s.memory_prefill, Range<double>{0, 1, true},
             "as `memory`, where a request has several new tokens; not said: the same");
  v.optional("decode_kv_head", s.decode_kv_head, time,
             "where each request has one new token: SM time of each KV head of each request, beside its bytes");
  v.optional("decode_head", s.decode_head, time, "the same of each head of each request");
}

// Work that passes over memory: each kernel's launch, and all bytes at a fraction of the peak bandwidth.
struct PassParameters {
  int32_t kernels = 1;         // 0: the stack does this inside another kernel
  Duration launch{3'900'000};  // of each
  double memory = 0.642;       // 2.15 TB/s
  double written = 1;          // weight of a value written, where rows are moved; one read weighs 1
  Duration row{};              // of each 2,048 values of a row, which one block moves one after another
  Bytes cached{};              // what L2 holds; of twice as much it holds none
  double cached_memory = 1;    // of the peak bandwidth, what L2 holds
};

template <class Visitor>
void fields(Visitor& v, PassParameters& s) {
  v.optional("kernels", s.kernels, between<int32_t>(0, 64), "kernels launched for it; 0: part of another kernel");
  v.optional("launch", s.launch, between(Duration{}, Duration{1'000'000'000}), "fixed time of each");
  v.optional("memory", s.memory, Range<double>{0, 1, true}, "of the peak bandwidth");
  v.optional("written", s.written, between(0.0, 10.0),
             "where rows are moved, what a value written weighs; one read: 1");
  v.optional("row", s.row, between(Duration{}, Duration{1'000'000'000}), "of each 2,048 values of a row's width");
  v.optional("cached", s.cached, between(Bytes{}, Bytes{1'000'000'000}),
             "bytes that the L2 cache holds; of twice as many it holds none");
  v.optional("cached_memory", s.cached_memory, between(0.01, 10.0), "of the peak bandwidth, what the cache holds");
}

// The defaults are measured on an H100 SXM (989 Tflop/s, 3,350 GB/s) with PyTorch 2.11, isolated kernels and whole
// model steps fitted jointly, with fused kernels where engines fuse them.
struct KernelParameters {
  GemmParameters gemm;
  GroupedGemmParameters grouped_gemm;
  std::optional<GroupedGemmParameters> grouped_gemm_library{};  // a kernel measured beside it, which no layer runs
  // Kernels of fp8 are others, and the quantisation of their activations is theirs. As those of bf16 where not said.
  std::optional<GemmParameters> gemm_fp8{};
  std::optional<GroupedGemmParameters> grouped_gemm_fp8{};
  ThrottleParameters throttle;
  AttentionParameters attention;
  PassParameters gate{6, Duration{3'900'000}, 0.642};  // softmax, top-k, sort and counts; a fused gate has 1 or 2
  // Where they are measured alone, and no part of `gate`: their time goes with tokens x experts.
  PassParameters softmax{0, Duration{3'900'000}, 0.642};
  PassParameters top_k{0, Duration{3'900'000}, 0.642};
  PassParameters norm{2, Duration{3'900'000}, 0.642};     // with the residual added before
  PassParameters permute{0, Duration{3'900'000}, 0.985};  // dispatch packs
  PassParameters regroup{1, Duration{3'900'000}, 0.985};  // rows still in L2 help
  PassParameters unregroup{1, Duration{3'900'000}, 0.642};
  PassParameters unpermute{1, Duration{3'900'000}, 0.642};
  // The way back by PyTorch's index_copy and by a product, zeros and index_add, whose atomics decide.
  PassParameters scatter{1, Duration{3'900'000}, 0.37};
  PassParameters scatter_add{3, Duration{3'900'000}, 0.06};
  PassParameters swiglu{2, Duration{3'900'000}, 0.642};
  PassParameters elementwise{1, Duration{3'900'000}, 0.642};
  bool regroup_alone = true;
};

template <class Visitor>
void fields(Visitor& v, KernelParameters& s) {
  v.optional("gemm", s.gemm, "dense GEMMs");
  v.optional("grouped_gemm", s.grouped_gemm, "the experts' GEMMs, all groups in one kernel");
  v.optional("grouped_gemm_library", s.grouped_gemm_library,
             "of a library, measured beside the stack's own; `moesim validate` alone uses it");
  v.optional("gemm_fp8", s.gemm_fp8, "dense GEMMs in fp8, with the quantisation of activations; not said: as `gemm`");
  v.optional("grouped_gemm_fp8", s.grouped_gemm_fp8, "the same of the experts' GEMMs; not said: as `grouped_gemm`");
  v.optional("throttle", s.throttle, "of GEMMs, dense and grouped, under the power limit");
  v.optional("attention", s.attention, "attention over the KV cache");
  v.optional("gate", s.gate, "softmax, top-k and the order of copies by expert, behind the router's GEMM");
  v.optional("softmax", s.softmax, "of the scores, where it is a kernel beside `gate`");
  v.optional("top_k", s.top_k, "choice of experts, where it is a kernel beside `gate`");
  v.optional("norm", s.norm, "norms, with the residual added before");
  v.optional("permute", s.permute, "a token's copies put in the order of their destinations, before dispatch");
  v.optional("regroup", s.regroup, "received copies put in the order of their experts");
  v.optional("unregroup", s.unregroup, "results put back in the order in which their copies came");
  v.optional("unpermute", s.unpermute, "the weighted sum of a token's results, after combine");
  v.optional("scatter", s.scatter, "of layers measured in PyTorch: unregroup as rows copied to where they belong");
  v.optional("scatter_add", s.scatter_add, "of layers measured in PyTorch: unpermute as rows added to their sums");
  v.optional("swiglu", s.swiglu, "silu(gate) * up");
  v.optional("elementwise", s.elementwise, "other element-wise work");
  v.optional("regroup_alone", s.regroup_alone,
             "whether a GPU that shares its experts with no other regroups too; where not, permute orders by expert");
}

}  // namespace moesim
