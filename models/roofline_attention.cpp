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
  work.memory_fraction = o.memory;
  work.launch = (is_decode ? o.launch_decode : o.launch) + duration_of_seconds(ends_bytes / ends_bandwidth);
  work.sm_fraction = std::min(1.0, blocks / model.gpu.sms);
  KernelCost cost = roofline(model.gpu, work);
  cost.memory += Bytes{int64_t(ends_bytes)};
  return cost;
}

}  // namespace moesim
