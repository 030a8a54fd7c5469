// Attention over a batch of requests, prefill, decode and mixed alike.
#include <algorithm>

#include "models/roofline.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

// Pairs of a query and a key it sees: query i of n sees context + i + 1 keys, or its window.
double visible_pairs(double new_tokens, double context, double window) {
  const double unlimited = std::min(new_tokens, std::max(0.0, window - context));  // queries that see all before them
  return unlimited * context + unlimited * (unlimited + 1) / 2 + (new_tokens - unlimited) * window;
}

// Query rows pack the heads that share keys, and run in tiles of 16 (one row of tensor-core fragments).
constexpr int64_t query_tile = 16;
// Rows of queries that one thread block holds in a prefill.
constexpr int64_t block_rows = 128;

constexpr int64_t block_keys = 64;
// The heads that share keys are the rows of a decode's products: of MLA's latent many, of other attention few.
struct DecodeTile {
  int64_t rows, keys, blocks_per_sm;
};
constexpr DecodeTile own_values{16, 64, 2};
constexpr DecodeTile latent_values{64, 32, 1};
constexpr int64_t splits_max = 128;
constexpr Bytes cached_sums{50'000'000};  // written and read

// The parts into which keys are split, by which blocks have the least tiles one after another, where a part costs three
// tiles more to begin and to add up.
struct DecodeSplit {
  int64_t parts = 1;
  int64_t tiles = 0;  // of the keys, one after another in the whole kernel
};
DecodeSplit split_decode(int64_t blocks, int64_t key_tiles, int64_t slots) {
  DecodeSplit best;
  int64_t cost_min = 0;
  for (int64_t wanted = 1; wanted <= std::min(key_tiles, splits_max); ++wanted) {
    const int64_t each = ceil_div(key_tiles, wanted);
    const int64_t parts = ceil_div(key_tiles, each);
    const int64_t waves = ceil_div(blocks * parts, slots);
    if (wanted > 1 && waves * (each + 3) >= cost_min) continue;
    cost_min = waves * (each + 3);
    best = {parts, waves * each};
  }
  return best;
}

// Decodes are alike: each has the mean number of keys.
struct Decodes {
  int64_t requests = 0;
  int64_t keys = 0;
};

// Beside the launch and the keys' bytes.
struct BlockTimes {
  double products_s = 0;
  double sums_s = 0;
};

BlockTimes decode_times(const CostModel& model, const Attention& a, const AttentionBlocks& o, const Decodes& decodes) {
  if (decodes.requests == 0) return {};
  const DecodeTile& tile = a.values_are_keys ? latent_values : own_values;
  const int64_t row_blocks = ceil_div(a.heads / a.kv_heads, tile.rows);
  const int64_t key_tiles = std::max<int64_t>(1, ceil_div(ceil_div(decodes.keys, decodes.requests), tile.keys));
  const DecodeSplit split =
      split_decode(decodes.requests * a.kv_heads * row_blocks, key_tiles, int64_t{model.gpu.sms} * tile.blocks_per_sm);
  const double sm_rate = model.gpu.bf16.flop_per_s / model.gpu.sms * o.decode / double(tile.blocks_per_sm);
  const double tile_s = 2.0 * double(tile.rows * tile.keys * (a.qk_dim + a.v_dim)) / sm_rate;
  const double sums = 2.0 * 4.0 * double(decodes.requests * a.heads * split.parts * a.v_dim);  // fp32
  const double missed = missed_part(sums, cached_sums);
  const double bytes_s = (1 - missed) / o.sums + missed / model.kernels.attention.ends;
  const double add_up_s = double(split.parts) * (0.5 + double(a.v_dim) / 256) * o.split.seconds();
  return {double(split.tiles) * tile_s, add_up_s + sums * bytes_s / model.gpu.memory_bandwidth.bytes_per_s};
}

// Of blocks that take 128 queries each: the longest goes first.
struct PrefillBlocks {
  int64_t blocks = 0;
  int64_t tiles = 0;
  int64_t longest = 0;  // tiles
};

void add_prefill(PrefillBlocks& all, const Attention& a, const RequestLength& request) {
  const int64_t keys = request.context + request.new_tokens;
  for (int64_t first = 0; first < request.new_tokens; first += block_rows) {
    const int64_t last_key = std::min(request.context + first + block_rows, keys);
    const int64_t first_key = a.window > 0 ? std::max<int64_t>(0, request.context + first + 1 - a.window) : 0;
    const int64_t tiles = ceil_div(last_key, block_keys) - first_key / block_keys;
    all.blocks += a.heads;
    all.tiles += a.heads * tiles;
    all.longest = std::max(all.longest, tiles);
  }
}

double prefill_seconds(const CostModel& model, const Attention& a, const PrefillBlocks& all) {
  if (all.blocks == 0) return 0;
  const AttentionParameters& o = model.kernels.attention;
  const double sms = double(model.gpu.sms);
  const double tile_s = 2.0 * double(block_rows * block_keys) * (double(a.qk_dim + a.v_dim) + o.extra_dim) /
                        (model.gpu.bf16.flop_per_s / sms * o.compute);
  const double start_s = o.blocks->start.seconds();
  const double all_s = double(all.tiles) * tile_s + double(all.blocks) * start_s;
  const double tail_s = all.blocks > model.gpu.sms ? o.blocks->tail * all_s / double(all.blocks) : 0;
  return std::max(all_s / sms + tail_s, double(all.longest) * tile_s + start_s);
}

BlockTimes block_times(const CostModel& model, const Attention& a) {
  PrefillBlocks prefills;
  Decodes decodes;
  for (const RequestLength& request : a.requests) {
    if (request.new_tokens > 1) add_prefill(prefills, a, request);
    if (request.new_tokens != 1) continue;
    const int64_t keys = request.context + 1;
    ++decodes.requests;
    decodes.keys += a.window > 0 ? std::min(keys, a.window) : keys;
  }
  BlockTimes times = decode_times(model, a, *model.kernels.attention.blocks, decodes);
  times.products_s += prefill_seconds(model, a, prefills);
  return times;
}

// What a decode's thread blocks take however few keys there are, spread over the SMs.
Duration decode_blocks_time(const AttentionParameters& o, const Attention& a, int64_t queries, int32_t sms) {
  const double kv_head_s = o.decode_kv_head.value_or(Duration{}).seconds();
  const double head_s = o.decode_head.value_or(Duration{}).seconds();
  return duration_of_seconds(double(queries) * (kv_head_s * double(a.kv_heads) + head_s * double(a.heads)) / sms);
}

}  // namespace

KernelCost kernel_cost(const CostModel& model, const Attention& a) {
  CHECK(a.heads > 0);
  CHECK(a.kv_heads > 0);
  CHECK(a.heads % a.kv_heads == 0);
  const int64_t sharing = a.heads / a.kv_heads;
  const int64_t kv_values = a.kv_heads * (a.values_are_keys ? a.qk_dim : a.qk_dim + a.v_dim);
  double pairs = 0;
  double padded_pairs = 0;
  double blocks = 0;
  KernelWork work;
  int64_t queries = 0;
  bool is_decode = true;
  for (const RequestLength& request : a.requests) {
    CHECK(request.new_tokens >= 0);
    CHECK(request.context >= 0);
    if (request.new_tokens == 0) continue;
    const int64_t tokens = request.context + request.new_tokens;
    const double window = double(a.window > 0 ? std::min(a.window, tokens) : tokens);
    const double seen = visible_pairs(double(request.new_tokens), double(request.context), window);
    const int64_t rows = request.new_tokens * sharing;
    const int64_t padded_rows = ceil_div(rows, query_tile) * query_tile;
    pairs += seen;
    padded_pairs += seen / double(request.new_tokens) * double(padded_rows) / double(sharing);
    // Keys outside every query's window are not read.
    const int64_t keys = a.window > 0 ? std::min(tokens, a.window + request.new_tokens - 1) : tokens;
    work.memory_bytes += double(bytes_of(keys * kv_values, a.cache).count);
    // A long context is split among thread blocks when there are few queries, in parts of about 256 keys.
    blocks += double(a.kv_heads * ceil_div(rows, block_rows)) * double(ceil_div(tokens, 256));
    queries += request.new_tokens;
    is_decode = is_decode && request.new_tokens == 1;
  }
  if (queries == 0) return {};
  const double flops_per_pair = 2.0 * double(a.heads) * double(a.qk_dim + a.v_dim);
  work.flops = pairs * flops_per_pair;
  const AttentionParameters& o = model.kernels.attention;
  const double rate = model.gpu.bf16.flop_per_s * o.compute;
  // Queries in and results out go by the same memory, before and after the products, so they do not overlap them.
  const double ends_bytes = double(bytes_of(queries * a.heads * (a.qk_dim + a.v_dim), Precision::bf16).count);
  const double ends_bandwidth = model.gpu.memory_bandwidth.bytes_per_s * o.ends;
  work.compute_s = padded_pairs * (flops_per_pair + 2.0 * double(a.heads) * o.extra_dim) / rate;
  work.memory_fraction = is_decode ? o.memory : o.memory_prefill.value_or(o.memory);
  work.launch = (is_decode ? o.launch_decode : o.launch) + duration_of_seconds(ends_bytes / ends_bandwidth);
  if (o.blocks) {
    const BlockTimes times = block_times(model, a);
    work.compute_s = times.products_s;
    work.launch = (is_decode ? o.launch_decode : o.launch) + duration_of_seconds(times.sums_s);
    work.memory_bytes += is_decode ? 0 : ends_bytes;
  }
  if (is_decode) work.launch += decode_blocks_time(o, a, queries, model.gpu.sms);
  work.sm_fraction = std::min(1.0, blocks / model.gpu.sms);
  KernelCost cost = roofline(model.gpu, work);
  if (!o.blocks || is_decode) cost.memory += Bytes{int64_t(ends_bytes)};
  return cost;
}

}  // namespace moesim
