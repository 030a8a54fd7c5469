#include "validation/fit/fit_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "models/cpu_cost.h"
#include "sim/core/math.h"
#include "validation/fit/bench_kernels.h"
#include "validation/fit/engine_parts.h"
#include "validation/fit/part_builders.h"
#include "validation/fit/profile_path.h"

namespace moesim {
namespace {

// How much the medians of graph replays, and of eager work that is long, differ from one machine of a kind to the
// next. docs/validation.md has the measurements.
constexpr double kKernelNoise = 0.03;
constexpr double kPhaseNoise = 0.06;
constexpr double kExpertsNoise = 0.02;
constexpr double kLayerNoise = 0.025;
constexpr double kStepNoise = 0.015;
constexpr double kCpuNoise = 0.06;
// Eager layers below so many tokens a rank measure the host alone, and differ by a third from machine to machine.
constexpr int64_t kLayerTokensMin = 1024;
constexpr double kSmallLayerNoise = 0.3;
// The host's speed changes within a run: the same eager kernel takes 20 us and 33.
constexpr double kHostNoise_us = 10;

// The least there is, and in eager execution the host's share.
double noise_of(const Measurement& measurement, const std::string& phase, double least) {
  if (measurement.launch == Launch::graph && phase != "eager") return least;
  for (const PhaseTime& time : measurement.times)
    if (time.phase == phase) return least + kHostNoise_us / time.median_us;
  return least;
}

FitParameter launch_of(const std::string& path) { return {path, 1e5, 1e9}; }         // 0.1 us to 1 ms
FitParameter host_time(const std::string& path) { return {path, 1e5, 1e9}; }         // the same
FitParameter fraction_of(const std::string& path) { return {path, 0.01, 1, true}; }  // of the data sheet
FitParameter rate_of(const std::string& path, double high) { return {path, high / 500, high, true}; }

// A form that the start does without: a fit of other kernels should not take it up.
bool is_without_effect(const DeviceProfile& profile, const std::string& path) {
  const double value = *profile_value(profile, path);
  if (path.ends_with("/split") || path.ends_with("/depth") || path.ends_with("/row")) return value == 0;
  if (path.find("/tiles/") != std::string::npos && (path.ends_with("/memory") || path.ends_with("/alone")))
    return value == 1;
  if (!path.ends_with("/cached_memory")) return false;
  return *profile_value(profile, path.substr(0, path.rfind('_'))) == 0;
}

}  // namespace

double kernel_noise(const Measurement& measurement) { return noise_of(measurement, "all", kKernelNoise); }

// All numbers of a kernel's parameters, so that one more in fields() is fitted without a word here. A real number of up
// to 1 is a fraction of the data sheet.
std::vector<FitParameter> all_below(const DeviceProfile& profile, const std::string& below) {
  std::vector<FitParameter> parameters;
  for (const std::string& path : numbers_below(profile, below)) {
    if (path.find("/corrections/") != std::string::npos) continue;  // corrections.h
    if (is_without_effect(profile, path)) continue;
    // Where as many rows are written as are read, nothing tells the two apart.
    const bool moves_fewer = below.ends_with("/unpermute") || below.ends_with("scatter_add");
    if (path.ends_with("/written") && !moves_fewer && !below.ends_with("/permute")) continue;
    const ValueRange range = profile_range(path);
    if (path.ends_with("/launch"))
      parameters.push_back(launch_of(path));
    else if (range.high == 1)
      parameters.push_back(fraction_of(path));
    else if (path.ends_with("/extra_k"))
      parameters.push_back({path, 8, 4096});
    else
      parameters.push_back({path, std::max(range.low, range.high * 1e-6), range.high});
  }
  return parameters;
}

std::vector<FitParameter> with_tied_tiles(std::vector<FitParameter> parameters) {
  std::vector<FitParameter> tied;
  for (FitParameter& parameter : parameters) {
    const auto of_tile = parameter.path.find("/tiles/");
    if (of_tile == std::string::npos || parameter.path.find("/tiles/0/") != std::string::npos) {
      tied.push_back(std::move(parameter));
      continue;
    }
    const std::string member = parameter.path.substr(parameter.path.rfind('/'));
    const std::string first = parameter.path.substr(0, of_tile) + "/tiles/0" + member;
    for (FitParameter& other : tied)
      if (other.path == first) other.tied.push_back({parameter.path});
  }
  return tied;
}

std::vector<Alternative> whole_numbers(const std::string& path, const std::vector<int64_t>& values) {
  std::vector<Alternative> alternatives;
  for (const int64_t value : values)
    alternatives.push_back({fmt::format("{} {}", path, value), [path, value](DeviceProfile& profile) {
                              set_profile_value(profile, path, double(value));
                            }});
  return alternatives;
}

namespace {

FitPart host_part() {
  FitPart part;
  part.name = "host";
  part.form = "kernels are issued one after another; none starts before it was issued";
  for (const char* member : {"issue", "issue_in_group", "issue_collective", "gap", "start", "routing_in_group"})
    part.parameters.push_back(host_time(std::string("host/") + member));
  part.noise = [](const Measurement& m, const std::string&) { return as<LaunchRecord>(m) ? kernel_noise(m) : 0; };
  return part;
}

FitPart gemm_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/gemm";
  part.form = "launch + (whole waves of the fastest tile^4 + bytes^4)^(1/4)";
  part.parameters = with_tied_tiles(all_below(profile, part.name));
  part.choices = {whole_numbers("kernels/gemm/split_k", {128, 256, 512, 1024, 2048, 4096})};
  const bool has_fp8 = profile.kernels.gemm_fp8.has_value();  // a part of its own
  part.noise = [has_fp8](const Measurement& m, const std::string&) {
    const auto* gemm = as<GemmRecord>(m);
    return gemm && !(has_fp8 && gemm->precision == Precision::fp8) ? kernel_noise(m) : 0.0;
  };
  return part;
}

// One of the two that are measured: kernels of the library have parameters of their own, where those are there.
bool is_of_library(const GroupedGemmRecord& record) { return record.kernel == "cublas"; }

std::vector<Alternative> tile_choices() {
  std::vector<Alternative> choices{
      {"the fastest tile", [](DeviceProfile& profile) { profile.kernels.grouped_gemm.choice = TileChoice::fastest; }}};
  for (const int64_t rows : {16, 32, 64, 128, 256, 512})
    choices.push_back(
        {fmt::format("the tile by the mean rows, the first up to {}", rows), [rows](DeviceProfile& profile) {
           profile.kernels.grouped_gemm.choice = TileChoice::mean_rows;
           profile.kernels.grouped_gemm.mean_rows_max = rows;
         }});
  return choices;
}

FitPart grouped_gemm_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/grouped_gemm";
  part.form = "launch + (whole waves of all groups' tiles^4 + bytes of the groups that have rows^4)^(1/4)";
  part.parameters = all_below(profile, part.name);
  // A kernel of persistent blocks is known, and so is its choice.
  if (profile.kernels.grouped_gemm.blocks_per_sm == 1)
    part.choices = {tile_choices(), whole_numbers("kernels/grouped_gemm/rows_per_cluster", {1, 2})};
  const bool library_apart = profile.kernels.grouped_gemm_library.has_value();
  part.noise = [library_apart](const Measurement& m, const std::string& phase) {
    if (const auto* gemm = as<GroupedGemmRecord>(m))
      return library_apart && is_of_library(*gemm) ? 0.0 : kernel_noise(m);
    if (const auto* fused = as<FusedLayerRecord>(m)) return fused->precision == Precision::bf16 ? kernel_noise(m) : 0.0;
    return as<MoeLayerRecord>(m) && phase == "experts" ? noise_of(m, phase, kExpertsNoise) : 0.0;
  };
  return part;
}

FitPart library_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/grouped_gemm_library";
  part.form = "as kernels/grouped_gemm";
  part.parameters = all_below(profile, part.name);
  part.noise = [](const Measurement& m, const std::string&) {
    const auto* gemm = as<GroupedGemmRecord>(m);
    return gemm && is_of_library(*gemm) ? kernel_noise(m) : 0.0;
  };
  return part;
}

FitPart attention_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/attention";
  part.form = "launch + queries and results over memory + (products and softmax^4 + keys and values^4)^(1/4)";
  part.parameters = all_below(profile, part.name);
  part.noise = [](const Measurement& m, const std::string&) { return as<AttentionRecord>(m) ? kernel_noise(m) : 0; };
  return part;
}

// The names of the operation in the files, and the phase of a layer that is this pass; of layers that scatter, or of
// those that do not, where that is said.
FitPart pass_part(const DeviceProfile& profile, const std::string& member, const std::vector<std::string>& operations,
                  const std::string& phase, std::optional<bool> scatters = {}) {
  FitPart part;
  part.name = "kernels/" + member;
  part.form = "launch a kernel + bytes / bandwidth";
  part.parameters = all_below(profile, part.name);
  part.noise = [operations, phase, scatters](const Measurement& m, const std::string& of) {
    if (const auto* pass = as<PassRecord>(m))
      return std::find(operations.begin(), operations.end(), pass->op) != operations.end() ? kernel_noise(m) : 0.0;
    const auto* layer = as<MoeLayerRecord>(m);
    const bool is_of_it =
        layer && !phase.empty() && of == phase && layer->scatters == scatters.value_or(layer->scatters);
    return is_of_it ? noise_of(m, of, kPhaseNoise) : 0.0;
  };
  return part;
}

FitPart copy_part(const std::string& member, const std::string& from, const std::string& to, Rate rate_max) {
  FitPart part;
  part.name = "copies/" + member;
  part.form = "latency + bytes / rate";
  part.parameters = {launch_of(part.name + "/latency"), rate_of(part.name + "/rate", rate_max.bytes_per_s)};
  part.noise = [from, to](const Measurement& m, const std::string&) {
    const auto* copy = as<CopyRecord>(m);
    return copy && copy->from == from && copy->to == to ? kernel_noise(m) : 0.0;
  };
  return part;
}

FitPart collectives_part(const GpuSpec& gpu) {
  FitPart part;
  part.name = "collectives";
  part.form =
      "the less of two protocols: launch + rounds + bytes through the communication kernel; then bytes over the links";
  part.parameters = {launch_of("collectives/launch"),
                     {"collectives/round", 1e5, 1e8},
                     rate_of("collectives/copy_rate", gpu.memory_bandwidth.bytes_per_s),
                     {"collectives/point_to_point", 1e5, 1e8},
                     launch_of("collectives/small_messages/launch"),
                     {"collectives/small_messages/round", 1e5, 1e8},
                     rate_of("collectives/small_messages/copy_rate", gpu.memory_bandwidth.bytes_per_s)};
  if (gpu.scale_up) part.parameters.push_back(rate_of("scale_up", gpu.scale_up->bytes_per_s));
  part.noise = [](const Measurement& m, const std::string& phase) {
    if (as<CollectiveRecord>(m)) return kernel_noise(m);
    const auto* layer = as<MoeLayerRecord>(m);
    return layer && layer->ranks > 1 && (phase == "dispatch" || phase == "combine") ? noise_of(m, phase, kPhaseNoise)
                                                                                    : 0.0;
  };
  return part;
}

// Rates of each number of threads. Two numbers leave no third to try a power of theirs by, and a model more or less
// moves it by a half: the power is as known, and one number's rates follow from the other's.
std::vector<FitParameter> cpu_rates(const CpuParameters& cpu) {
  std::vector<FitParameter> parameters;
  const bool has_two = cpu.threads.size() == 2;
  for (size_t i = has_two ? 1 : 0; i < cpu.threads.size(); ++i) {
    const auto add = [&](const char* member, double high, double power) {
      FitParameter rate{fmt::format("cpu/threads/{}/{}", i, member), 1e9, high, true};
      const double threads_part = double(cpu.threads.front().threads) / double(cpu.threads[i].threads);
      if (has_two) rate.tied = {{fmt::format("cpu/threads/0/{}", member), exact_pow(threads_part, power)}};
      parameters.push_back(std::move(rate));
    };
    add("memory", 2e12, kMemoryThreadsPower);
    add("cache", 1e13, kCacheThreadsPower);
    add("compute", 1e15, kCacheThreadsPower);
  }
  return parameters;
}

FitPart cpu_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "cpu";
  part.form = "an expert: fixed time + the larger of bytes over DRAM or cache rate and products";
  part.parameters = {launch_of("cpu/expert")};
  for (FitParameter& rate : cpu_rates(profile.cpu)) part.parameters.push_back(std::move(rate));
  // In steps of four: the sizes of a few models do not tell 64 MiB from 128.
  part.choices = {whole_numbers("cpu/cache", {0, 32 << 20, 128 << 20, 512 << 20})};
  part.noise = [](const Measurement& m, const std::string& phase) {
    return as<CpuExpertRecord>(m) || (as<OffloadRecord>(m) && phase == "cpu") ? kCpuNoise : 0.0;
  };
  return part;
}

FitPart offload_part() {
  FitPart part;
  part.name = "interference";
  part.form =
      "copies and GEMMs take so many times longer beside each other, and beside CPU experts, which start when all "
      "copies and experts of the GPU are issued";
  part.parameters = {{"interference/gemm_beside_copies", 1, 3},
                     {"interference/copies_beside_gemm", 1, 3},
                     {"interference/copies_beside_cpu", 1, 3},
                     {"cpu/beside_copies", 1, 4},
                     launch_of("cpu/wake_up"),
                     launch_of("copies/host_to_device/gap"),
                     host_time("host/issue_expert"),
                     {"host/issue_expert_power", 0.01, 1},
                     host_time("host/issue_copy")};
  part.noise = [](const Measurement& m, const std::string& phase) {
    if (as<OverlapRecord>(m)) return kCpuNoise;
    return as<OffloadRecord>(m) && phase != "cpu" ? kCpuNoise : 0.0;
  };
  return part;
}

// What layers say of other parts' parameters, the joint fit hears.
FitPart layers_part() {
  FitPart part;
  part.name = "layers";
  part.form = "the whole MoE layer, simulated; long products lose to the power limit";
  part.parameters = {{"kernels/throttle/most", 1e-3, 1}, {"kernels/throttle/half", 1e9, 1e11}};  // 1 to 100 ms
  part.noise = [](const Measurement& m, const std::string& phase) {
    const auto* layer = as<MoeLayerRecord>(m);
    if (!layer || phase != "layer") return 0.0;
    const bool counts = m.launch == Launch::graph || layer->tokens_per_rank >= kLayerTokensMin;
    return counts ? noise_of(m, phase, kLayerNoise) : kSmallLayerNoise;
  };
  return part;
}

FitPart steps_part(const std::string& name, const std::string& wanted_phase, double noise) {
  FitPart part;
  part.name = name;
  part.form = "whole forward steps, simulated";
  part.noise = [wanted_phase, noise](const Measurement& m, const std::string& phase) {
    return as<ModelStepRecord>(m) && phase == wanted_phase ? noise : 0.0;
  };
  return part;
}

}  // namespace

void set_parameter(DeviceProfile& profile, const FitParameter& parameter, double value) {
  set_profile_value(profile, parameter.path, value);
  for (const TiedValue& tied : parameter.tied) set_profile_value(profile, tied.path, tied.times * value);
}

std::vector<FitPart> fit_parts(const DeviceProfile& profile, const GpuSpec& gpu) {
  std::vector<FitPart> parts{host_part(),
                             gemm_part(profile),
                             grouped_gemm_part(profile),
                             attention_part(profile),
                             pass_part(profile, "gate", {"gate", "order"}, "gate"),
                             pass_part(profile, "softmax", {"softmax"}, ""),
                             pass_part(profile, "top_k", {"topk"}, ""),
                             pass_part(profile, "norm", {"rms_norm"}, ""),
                             pass_part(profile, "permute", {"permute", "gather_tokens"}, "permute"),
                             pass_part(profile, "regroup", {"regroup", "gather"}, "regroup"),
                             pass_part(profile, "unregroup", {"unregroup"}, "unregroup", false),
                             pass_part(profile, "unpermute", {"unpermute"}, "unpermute", false),
                             pass_part(profile, "scatter", {"index_copy"}, "unregroup", true),
                             pass_part(profile, "scatter_add", {}, "unpermute", true),
                             pass_part(profile, "swiglu", {"swiglu", "silu_mul"}, ""),
                             pass_part(profile, "elementwise", {"add", "mul", "silu", "scale_rows", "zeros"}, "")};
  if (profile.kernels.grouped_gemm_library) parts.push_back(library_part(profile));
  const Rate pcie = gpu.pcie.value_or(Rate{128e9});
  const Rate memory_twice{gpu.memory_bandwidth.bytes_per_s / 2};  // read and written
  parts.push_back(copy_part("host_to_device", "host_pinned", "device", pcie));
  parts.push_back(copy_part("device_to_host", "device", "host_pinned", pcie));
  parts.push_back(copy_part("device_to_device", "device", "device", memory_twice));
  parts.push_back(copy_part("peer", "device", "peer", gpu.scale_up.value_or(pcie)));
  for (FitPart& part : engine_parts(profile)) parts.push_back(std::move(part));
  parts.push_back(collectives_part(gpu));
  parts.push_back(cpu_part(profile));
  parts.push_back(offload_part());
  parts.push_back(layers_part());
  parts.push_back(steps_part("steps", "graph", kStepNoise));
  parts.push_back(steps_part("steps_eager", "eager", kPhaseNoise));
  return parts;
}

}  // namespace moesim
