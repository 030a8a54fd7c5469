#include "models/roofline.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Of `width` values a row; 0 where rows do not matter.
KernelCost pass(const CostModel& model, int64_t values, const PassParameters& parameters, int64_t width = 0) {
  if (parameters.kernels == 0) return {};
  KernelWork work;
  work.launches = parameters.kernels;
  work.launch = Duration{int64_t(parameters.kernels) * parameters.launch.ps};
  if (values > 0) work.launch += Duration{ceil_div(width, 2048) * parameters.row.ps};
  const double bytes = double(bytes_of(values, Precision::bf16).count);
  work.memory_bytes = bytes * missed_part(bytes, parameters.cached);
  const double cached_rate = model.gpu.memory_bandwidth.bytes_per_s * parameters.cached_memory;
  work.launch += duration_of_seconds((bytes - work.memory_bytes) / cached_rate);
  work.memory_fraction = parameters.memory;
  // A block of 256 threads that move 16 bytes each: 2,048 values. Fewer blocks than SMs leave some free.
  work.sm_fraction = std::min(1.0, double(ceil_div(values, 2048)) / model.gpu.sms);
  return roofline(model.gpu, work);
}

const PassParameters& parameters_of(const KernelParameters& kernels, RowPass pass) {
  switch (pass) {
    case RowPass::permute:
      return kernels.permute;
    case RowPass::regroup:
      return kernels.regroup;
    case RowPass::unregroup:
      return kernels.unregroup;
    case RowPass::unpermute:
      break;
  }
  return kernels.unpermute;
}

}  // namespace

double fourth_norm(double a, double b) {
  const double a2 = a * a;
  const double b2 = b * b;
  return std::max({a, b, std::sqrt(std::sqrt(a2 * a2 + b2 * b2))});
}

double missed_part(double bytes, Bytes cached) {
  if (cached.count == 0) return 1;
  return std::clamp(bytes / double(cached.count) - 1, 0.0, 1.0);
}

int64_t ceil_div(int64_t dividend, int64_t divisor) {
  CHECK(divisor > 0);
  return (dividend + divisor - 1) / divisor;
}

KernelCost roofline(const GpuSpec& gpu, const KernelWork& work) {
  CHECK(work.memory_fraction > 0);
  const double memory_s = work.memory_bytes / (gpu.memory_bandwidth.bytes_per_s * work.memory_fraction);
  KernelCost cost;
  cost.time = work.launch + duration_of_seconds(fourth_norm(work.compute_s, memory_s));
  cost.sm_fraction = work.sm_fraction;
  cost.memory = Bytes{int64_t(work.memory_bytes)};
  cost.flops = work.flops;
  cost.launches = work.launches;
  cost.bound = work.compute_s > memory_s ? Bound::compute : Bound::memory;
  if (work.launch.seconds() > std::max(work.compute_s, memory_s)) cost.bound = Bound::launch;
  return cost;
}

MatrixRate matrix_rate(const GpuSpec& gpu, Precision weights) {
  std::optional<FlopRate> native;
  if (weights == Precision::fp8) native = gpu.fp8;
  if (weights == Precision::int8) native = gpu.int8;
  if (weights == Precision::fp4) native = gpu.fp4;
  // The hardware may be slower there than in bf16 (int8 units on the way out); kernels then expand the weights.
  if (native && *native > gpu.bf16) return {*native, weights};
  return {gpu.bf16, Precision::bf16};
}

KernelCost kernel_cost(const CostModel& model, const Gate& gate) {
  const DenseGemm scores{gate.tokens, gate.experts, gate.hidden, Precision::bf16};
  // Scores are fp32, 2 values of bf16 each: softmax and top-k read and write them, sorting moves index and weight.
  const int64_t read_and_written = 2 * 2 * gate.tokens * gate.experts;
  const KernelParameters& kernels = model.kernels;
  int64_t rest = 2 * 6 * gate.tokens * gate.top_k;
  for (const PassParameters* alone : {&kernels.softmax, &kernels.top_k})
    if (alone->kernels == 0) rest += read_and_written;
  return in_sequence(std::array{kernel_cost(model, scores), pass(model, read_and_written, kernels.softmax),
                                pass(model, read_and_written, kernels.top_k), pass(model, rest, kernels.gate)});
}

KernelCost kernel_cost(const CostModel& model, const MoveRows& move) {
  const PassParameters& parameters = parameters_of(model.kernels, move.pass);
  const double rows = double(move.rows_read) + parameters.written * double(move.rows_written);
  return pass(model, int64_t(rows * double(move.width)), parameters, move.width);
}

KernelCost kernel_cost(const CostModel& model, const ElementWise& work) {
  return pass(model, work.values_read + work.values_written, model.kernels.elementwise);
}

KernelCost kernel_cost(const CostModel& model, const SwiGlu& work) {
  const int64_t values_of_result = model.kernels.swiglu.kernels == 1 ? 3 : 5;  // fused: none between the two passes
  return pass(model, values_of_result * work.rows * work.intermediate, model.kernels.swiglu, work.intermediate);
}

KernelCost kernel_cost(const CostModel& model, const Norm& norm) {
  return pass(model, 4 * norm.rows * norm.width, model.kernels.norm, norm.width);
}

KernelCost in_sequence(std::span<const KernelCost> kernels) {
  KernelCost total;
  Duration longest;
  for (const KernelCost& kernel : kernels) {
    total.time += kernel.time;
    total.memory += kernel.memory;
    total.flops += kernel.flops;
    total.launches += kernel.launches;
    total.sm_fraction = std::max(total.sm_fraction, kernel.sm_fraction);
    if (kernel.time > longest) {
      longest = kernel.time;
      total.bound = kernel.bound;
    }
  }
  return total;
}

}  // namespace moesim
