#include "validation/fit/sanity.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/config/units_text.h"
#include "validation/fit/fit_parts.h"
#include "validation/fit/profile_path.h"

namespace moesim {
namespace {

constexpr double kCacheBytes = 128e6;  // more than the L2 of any GPU of the catalogue
constexpr double kSlack = 0.98;        // clocks may boost a little beyond what the data sheet counts on

double peak_flops(const GpuSpec& gpu, Precision precision) {
  double peak = gpu.bf16.flop_per_s;
  if (precision == Precision::fp8 && gpu.fp8) peak = std::max(peak, gpu.fp8->flop_per_s);
  if (precision == Precision::int8 && gpu.int8) peak = std::max(peak, gpu.int8->flop_per_s);
  if (precision == Precision::fp4 && gpu.fp4) peak = std::max(peak, gpu.fp4->flop_per_s);
  return peak;
}

struct LeastSeconds {
  const GpuSpec& gpu;

  double over(double bytes, const std::optional<Rate>& rate) const { return rate ? bytes / rate->bytes_per_s : 0; }
  double memory(double bytes) const { return std::max(0.0, bytes - kCacheBytes) / gpu.memory_bandwidth.bytes_per_s; }

  template <class Other>
  double operator()(const Other&) const {
    return 0;
  }
  double operator()(const GemmRecord& r) const {
    const double products = double(r.m) * double(r.n) * double(r.k);
    const double weights = double(bytes_of(r.n * r.k, r.precision).count);
    return std::max(2 * products / peak_flops(gpu, r.precision), memory(weights));
  }
  double operator()(const GroupedGemmRecord& r) const {
    double rows = 0;
    double groups = 0;
    for (const int64_t each : r.rows) {
      rows += double(each);
      groups += each > 0;
    }
    const double weights = double(r.n) * double(r.k);
    return std::max(2 * rows * weights / gpu.bf16.flop_per_s, memory(2 * groups * weights));
  }
  double operator()(const AttentionRecord& r) const {
    const double pairs = double(r.batch) * double(r.q) * (double(r.kv) - double(r.q - 1) / 2);
    const double values = double(r.kv_heads) * double(r.values_are_keys ? r.qk_dim : r.qk_dim + r.v_dim);
    return std::max(2 * pairs * double(r.heads) * double(r.qk_dim + r.v_dim) / gpu.bf16.flop_per_s,
                    memory(2 * double(r.batch) * double(r.kv) * values));
  }
  double operator()(const CopyRecord& r) const {
    const double bytes = double(r.bytes);
    if (r.to == "peer") return over(bytes, gpu.scale_up ? gpu.scale_up : gpu.pcie);
    if (r.from == "device" && r.to == "device") return memory(2 * bytes);
    return over(bytes, gpu.pcie);
  }
  // Within a server; what one rank must send at the least. Switches that add on the way halve an all-reduce.
  double operator()(const CollectiveRecord& r) const {
    if (!gpu.scale_up || r.ranks < 2 || r.ranks > 8 || !r.send_bytes.empty()) return 0;
    const double others = double(r.ranks - 1) / r.ranks;
    if (r.op == "send_receive") return over(double(r.bytes), gpu.scale_up);
    return over(double(r.bytes) * (r.op == "all_reduce" ? 1.0 : others), gpu.scale_up) * 0.5;
  }
  double operator()(const MoeLayerRecord& r) const {
    double copies = 0;
    for (const auto& source : r.counts) copies += double(std::accumulate(source.begin(), source.end(), int64_t{0}));
    return 6 * copies * double(r.d) * double(r.f) / (gpu.bf16.flop_per_s * r.ranks);
  }
  double operator()(const FusedLayerRecord& r) const {
    const double products = 6.0 * double(r.tokens) * r.top_k * double(r.d) * double(r.f / r.tensor_parallel);
    return products / peak_flops(gpu, r.precision);
  }
  double operator()(const ModelStepRecord& r) const {
    return 6.0 * r.layers * double(r.tokens_per_rank) * r.top_k * double(r.d) * double(r.f) / gpu.bf16.flop_per_s;
  }
};

// Which phases the bound is of: a layer's and a step's least time is of the experts.
bool bounds_phase(const Measurement& measurement, const std::string& phase) {
  if (std::holds_alternative<MoeLayerRecord>(measurement.what)) return phase == "experts" || phase == "layer";
  return true;
}

std::string unit_of(const std::string& path, double value) {
  if (path.ends_with("rate") || path == "scale_up" || path.ends_with("memory") || path.ends_with("cache"))
    return value > 1e3 ? quantity_text(Rate{value}) : fmt::format("{} of the data sheet", value);
  if (path.ends_with("compute"))
    return value > 1e3 ? quantity_text(FlopRate{value}) : fmt::format("{} of the data sheet", value);
  return quantity_text(Duration{int64_t(value)});
}

}  // namespace

double least_us(const Measurement& measurement, const GpuSpec& gpu) {
  return std::visit(LeastSeconds{gpu}, measurement.what) * 1e6;
}

std::vector<Fault> check_measurements(const MeasurementFile& file, const GpuSpec& gpu) {
  std::vector<Fault> faults;
  for (const Measurement& measurement : file.records) {
    const double least = least_us(measurement, gpu);
    for (const PhaseTime& time : measurement.times)
      if (bounds_phase(measurement, time.phase) && time.median_us < kSlack * least)
        faults.push_back({0, fmt::format("/records/{}", measurement.record),
                          fmt::format("{} of {:.3f} us is faster than the data sheet of {} allows, {:.3f} us",
                                      measurement.kind, time.median_us, gpu.name, least)});
  }
  return faults;
}

std::vector<Fault> check_profile(const DeviceProfile& profile, const GpuSpec& gpu) {
  std::vector<Fault> faults;
  for (const FitPart& part : fit_parts(profile, gpu))
    for (const FitParameter& parameter : part.parameters) {
      const auto value = profile_value(profile, parameter.path);
      if (!value) continue;
      const bool is_below = parameter.is_rate && *value < parameter.low;
      if (*value > parameter.high || is_below)
        faults.push_back({0, "/" + parameter.path,
                          fmt::format("{} is {} than {}, the {} that the data sheet allows: is a unit wrong?",
                                      unit_of(parameter.path, *value), is_below ? "less" : "more",
                                      unit_of(parameter.path, is_below ? parameter.low : parameter.high),
                                      is_below ? "least" : "most")});
    }
  return faults;
}

}  // namespace moesim
