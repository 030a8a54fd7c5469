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

double throttled(const ThrottleParameters& throttle, double compute_s) {
  return compute_s * (1 + throttle.most * compute_s / (compute_s + throttle.half.seconds()));
}

// From none at four rows a group to all at one: thread blocks that wait for a few rows keep less of memory busy.
double few_rows_factor(const GroupedGemmParameters& o, int64_t rows, int64_t busy_groups) {
  const double mean = double(rows) / double(busy_groups);
  return 1 + o.few_rows * std::max(0.0, 4 - mean) / 3;
}

}  // namespace

KernelCost kernel_cost(const CostModel& model, const DenseGemm& gemm) {
  CHECK(gemm.m >= 0);
  CHECK(gemm.n >= 0);
  CHECK(gemm.k >= 0);
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0) return {};
  const auto [rate, activations] = matrix_rate(model.gpu, gemm.weights);
  const double sm_rate = rate.flop_per_s / model.gpu.sms;
  const GemmParameters& o = model.kernels.gemm;
  KernelWork work;
  for (const TileParameters& tile :
       o.tiles) {  // the library takes the fastest; so the least of monotone times, monotone itself
    const int64_t count = ceil_div(gemm.m, tile.rows) * ceil_div(gemm.n, tile.columns);
    const double waves = double(ceil_div(count, model.gpu.sms));
    const double k = k_of_one_sm(count, model.gpu.sms, gemm.k, o.split_k);
    const double seconds = waves * tile_flops(tile, k + tile.extra_k) / (sm_rate * tile.compute);
    if (work.compute_s > 0 && work.compute_s <= seconds) continue;
    work.compute_s = seconds;
    work.sm_fraction = std::min(1.0, double(count) * (double(gemm.k) / k) / model.gpu.sms);
  }
  work.compute_s = throttled(model.kernels.throttle, work.compute_s);
  work.launch = o.launch;
  work.memory_bytes = gemm_bytes(1, gemm.m, gemm.n, gemm.k, gemm.weights, activations);
  work.memory_fraction = o.memory;
  work.flops = 2.0 * double(gemm.m) * double(gemm.n) * double(gemm.k);
  KernelCost cost = roofline(model.gpu, work);
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
  const GroupedGemmParameters& o = model.kernels.grouped_gemm;
  KernelWork work;
  for (const TileParameters& tile : tiles_to_try(o, gemm, rows)) {
    int64_t m_tiles = 0;
    for (const int64_t group : gemm.rows)
      m_tiles += o.rows_per_cluster * ceil_div(group, o.rows_per_cluster * tile.rows);
    const int64_t count = m_tiles * ceil_div(gemm.n, tile.columns);
    const double waves = double(ceil_div(count, model.gpu.sms));
    const double wave_s = tile_flops(tile, double(gemm.k) + tile.extra_k) / (sm_rate * tile.compute);
    if (work.compute_s > 0 && work.compute_s <= waves * wave_s) continue;
    work.compute_s = waves * wave_s;
    work.sm_fraction = std::min(1.0, double(count) / model.gpu.sms);
  }
  work.compute_s = throttled(model.kernels.throttle, work.compute_s);
  work.launch = o.launch;
  work.memory_bytes = gemm_bytes(busy_groups, rows, gemm.n, gemm.k, gemm.weights, activations);
  work.memory_fraction = o.memory / few_rows_factor(o, rows, busy_groups);
  work.flops = 2.0 * double(rows) * double(gemm.n) * double(gemm.k);
  return roofline(model.gpu, work);
}

}  // namespace moesim
