// Dense and grouped GEMMs: whole waves of tiles over the SMs, beside the bytes of weights and activations.
#include <algorithm>

#include "models/roofline.h"
#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

double tile_flops(const TileParameters& tile, double k) { return 2.0 * double(tile.rows * tile.columns) * k; }

// Weights, activations in and results out, in bytes.
double gemm_bytes(int64_t weight_matrices, int64_t rows, int64_t n, int64_t k, Precision weights,
                  Precision activations) {
  return double(weight_matrices) * double(bytes_of(n * k, weights).count) +
         double(bytes_of(rows * k, activations).count) + double(bytes_of(rows * n, Precision::bf16).count);
}

// Fewer tiles than SMs: k is split among the idle ones, in parts of at least 1,024 say, as cuBLAS does. On an H100,
// m = 1 to 128 rows of 4,096 x 4,096 then take the time of their bytes, as measured.
double k_of_one_sm(int64_t tiles, int64_t sms, int64_t k, int64_t part_min) {
  const double parts_max = double(std::max<int64_t>(sms / tiles, 1));
  return std::max(double(k) / parts_max, std::min(double(k), double(part_min)));
}

double correction_at(std::span<const WorkCorrection> table, double work) {
  if (table.empty()) return 1;
  size_t next = 0;
  while (next < table.size() && table[next].work <= work) ++next;
  if (next == 0) return table.front().factor;
  if (next == table.size()) return table.back().factor;
  const WorkCorrection& low = table[next - 1];
  const WorkCorrection& high = table[next];
  const double part = exact_log(work / low.work) / exact_log(high.work / low.work);
  return low.factor * exact_pow(high.factor / low.factor, part);
}

// Never faster than the data sheet, whatever the table says.
void correct(KernelCost& cost, std::span<const WorkCorrection> table, const GpuSpec& gpu, double peak_flops) {
  if (table.empty()) return;
  const double least = std::max(double(cost.memory.count) / gpu.memory_bandwidth.bytes_per_s, cost.flops / peak_flops);
  cost.time = duration_of_seconds(std::max(least, cost.time.seconds() * correction_at(table, cost.flops / 2)));
}

// PyTorch's grouped kernel picks its tile by the mean rows of a group, in whole rows; others take the fastest.
std::span<const TileParameters> tiles_to_try(const GroupedGemmParameters& o, const GroupedGemm& gemm, int64_t rows) {
  CHECK(!o.tiles.empty());
  if (o.choice == TileChoice::fastest || o.tiles.size() == 1) return o.tiles;
  const bool is_small = rows / int64_t(gemm.rows.size()) <= o.mean_rows_max || gemm.n <= o.mean_rows_max;
  return std::span(o.tiles).subspan(is_small ? 0 : 1, 1);
}

// The k that a block multiplies in the time in which a tile begins and ends is more at a higher rate.
double fill_k(const TileParameters& tile, const GpuSpec& gpu, FlopRate rate) {
  return tile.extra_k * rate.flop_per_s / gpu.bf16.flop_per_s;
}

// Kernels of their own, where the GPU multiplies in fp8.
const GemmParameters& gemm_parameters(const KernelParameters& kernels, Precision multiplied) {
  return multiplied == Precision::fp8 && kernels.gemm_fp8 ? *kernels.gemm_fp8 : kernels.gemm;
}

const GroupedGemmParameters& grouped_parameters(const KernelParameters& kernels, Precision multiplied) {
  return multiplied == Precision::fp8 && kernels.grouped_gemm_fp8 ? *kernels.grouped_gemm_fp8 : kernels.grouped_gemm;
}

// Before a kernel of fp8 another reads the activations in bf16 and writes them in fp8, as element-wise work does: 3
// bytes each. Its launch is part of gemm_fp8's.
Duration quantisation_time(const CostModel& model, const DenseGemm& gemm, Precision multiplied) {
  if (multiplied != Precision::fp8 || !model.kernels.gemm_fp8) return {};
  const double bandwidth = model.gpu.memory_bandwidth.bytes_per_s * model.kernels.elementwise.memory;
  return duration_of_seconds(3.0 * double(gemm.m) * double(gemm.k) / bandwidth);
}

double throttled(const ThrottleParameters& throttle, double compute_s) {
  return compute_s * (1 + throttle.most * compute_s / (compute_s + throttle.half.seconds()));
}

// From none at four rows a group to all at one: thread blocks that wait for a few rows keep less of memory busy.
double few_rows_factor(const GroupedGemmParameters& o, int64_t rows, int64_t busy_groups) {
  const double mean = double(rows) / double(busy_groups);
  return 1 + o.few_rows * std::max(0.0, 4 - mean) / 3;
}

// Of the parts into which k is split, in fp32: written, and read to add them up.
double sums_bytes(const DenseGemm& gemm, double k_of_part) {
  return 2.0 * 4.0 * double(gemm.m * gemm.n) * double(gemm.k) / k_of_part;
}

struct TileWork {
  const TileParameters* tile = nullptr;
  int64_t count = 0;
  double full_waves_s = 0;
  double last_wave_s = 0;  // of the blocks that are left over
  double last_part = 0;    // their part of all tiles
};

// With one block on an SM, waves are whole. With several, tiles go round among persistent blocks, and those of the last
// wave are fewer: on an SM of its own a block is faster, but not as many times as blocks share one.
TileWork tile_work(const GroupedGemmParameters& o, const TileParameters& tile, const GroupedGemm& gemm, int32_t sms,
                   double sm_rate) {
  int64_t m_tiles = 0;
  for (const int64_t group : gemm.rows) m_tiles += o.rows_per_cluster * ceil_div(group, o.rows_per_cluster * tile.rows);
  TileWork work{&tile, m_tiles * ceil_div(gemm.n, tile.columns)};
  const double wave_s =
      double(o.blocks_per_sm) * tile_flops(tile, double(gemm.k) + tile.extra_k) / (sm_rate * tile.compute);
  const int64_t slots = int64_t{sms} * o.blocks_per_sm;
  if (o.blocks_per_sm == 1) {
    work.full_waves_s = double(ceil_div(work.count, slots)) * wave_s;
    return work;
  }
  const int64_t left = work.count % slots;
  work.full_waves_s = double(work.count / slots) * wave_s;
  work.last_wave_s = left == 0 ? 0 : left <= sms ? tile.alone * wave_s : wave_s;
  work.last_part = double(left) / double(work.count);
  return work;
}

TileWork fastest_tile(const GroupedGemmParameters& o, const GroupedGemm& gemm, int64_t rows, int32_t sms,
                      double sm_rate) {
  TileWork best;
  for (const TileParameters& tile : tiles_to_try(o, gemm, rows)) {
    const TileWork work = tile_work(o, tile, gemm, sms, sm_rate);
    if (best.tile == nullptr || work.full_waves_s + work.last_wave_s < best.full_waves_s + best.last_wave_s)
      best = work;
  }
  return best;
}

}  // namespace

KernelCost kernel_cost(const CostModel& model, const DenseGemm& gemm) {
  CHECK(gemm.m >= 0);
  CHECK(gemm.n >= 0);
  CHECK(gemm.k >= 0);
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0) return {};
  const auto [rate, activations] = matrix_rate(model.gpu, gemm.weights);
  const double sm_rate = rate.flop_per_s / model.gpu.sms;
  const GemmParameters& o = gemm_parameters(model.kernels, activations);
  KernelWork work;
  for (const TileParameters& tile :
       o.tiles) {  // the library takes the fastest; so the least of monotone times, monotone itself
    const int64_t count = ceil_div(gemm.m, tile.rows) * ceil_div(gemm.n, tile.columns);
    const double waves = double(ceil_div(count, model.gpu.sms));
    const double k = k_of_one_sm(count, model.gpu.sms, gemm.k, o.split_k);
    const double fill = fill_k(tile, model.gpu, rate);
    double seconds = waves * tile_flops(tile, k + fill) / (sm_rate * tile.compute);
    if (o.split.ps > 0 && k < double(gemm.k)) {
      seconds += o.split.seconds() + sums_bytes(gemm, k) / (model.gpu.memory_bandwidth.bytes_per_s * o.cached_memory);
      seconds = std::min(seconds, waves * tile_flops(tile, double(gemm.k) + fill) / (sm_rate * tile.compute));
    }
    if (work.compute_s > 0 && work.compute_s <= seconds) continue;
    work.compute_s = seconds;
    work.sm_fraction = std::min(1.0, double(count) * (double(gemm.k) / k) / model.gpu.sms);
  }
  work.compute_s = throttled(model.kernels.throttle, work.compute_s);
  const double weights = double(bytes_of(gemm.n * gemm.k, gemm.weights).count);
  const double others = gemm_bytes(1, gemm.m, gemm.n, gemm.k, gemm.weights, activations) - weights;
  const double missed = missed_part(others, o.cached);
  const double cached_bytes = others * (1 - missed) / o.cached_memory;  // in the time of so many from memory
  work.launch = o.launch + duration_of_seconds(o.depth.seconds() * double(gemm.k) / 1024) +
                quantisation_time(model, gemm, activations);
  work.memory_bytes = weights + others * missed + cached_bytes * o.memory;
  work.memory_fraction = o.memory;
  work.flops = 2.0 * double(gemm.m) * double(gemm.n) * double(gemm.k);
  KernelCost cost = roofline(model.gpu, work);
  cost.memory = Bytes{int64_t(weights + others * missed)};  // what L2 holds goes to no memory
  correct(cost, o.corrections, model.gpu, rate.flop_per_s);
  return cost;
}

KernelCost kernel_cost(const CostModel& model, const GroupedGemm& gemm) {
  CHECK(gemm.n >= 0);
  CHECK(gemm.k >= 0);
  int64_t rows = 0;
  int64_t busy_groups = 0;
  for (const int64_t group : gemm.rows) {
    CHECK(group >= 0);
    rows += group;
    busy_groups += group > 0;
  }
  if (rows == 0 || gemm.n == 0 || gemm.k == 0) return {};
  const auto [rate, activations] = matrix_rate(model.gpu, gemm.weights);
  const double sm_rate = rate.flop_per_s / model.gpu.sms;
  const GroupedGemmParameters& o = grouped_parameters(model.kernels, activations);
  const TileWork tiles = fastest_tile(o, gemm, rows, model.gpu.sms, sm_rate);
  KernelWork work;
  work.compute_s = throttled(model.kernels.throttle, tiles.full_waves_s);
  work.sm_fraction = std::min(1.0, double(tiles.count) / model.gpu.sms);
  const double bytes = gemm_bytes(busy_groups, rows, gemm.n, gemm.k, gemm.weights, activations);
  work.memory_fraction = o.memory * tiles.tile->memory / few_rows_factor(o, rows, busy_groups);
  work.memory_bytes = bytes * (1 - tiles.last_part);
  work.launch = o.launch;
  if (tiles.last_wave_s > 0) {
    const double bandwidth = model.gpu.memory_bandwidth.bytes_per_s * work.memory_fraction;
    work.launch += duration_of_seconds(fourth_norm(tiles.last_wave_s, bytes * tiles.last_part / bandwidth));
  }
  work.flops = 2.0 * double(rows) * double(gemm.n) * double(gemm.k);
  KernelCost cost = roofline(model.gpu, work);
  cost.memory = Bytes{int64_t(bytes)};
  return cost;
}

}  // namespace moesim
