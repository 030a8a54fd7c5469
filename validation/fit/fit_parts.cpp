#include "validation/fit/fit_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "validation/fit/engine_parts.h"
#include "validation/fit/part_builders.h"
#include "validation/fit/profile_path.h"

namespace moesim {
namespace {

template <class Record>
const Record* as(const Measurement& measurement) {
  return std::get_if<Record>(&measurement.what);
}

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

}  // namespace

double kernel_noise(const Measurement& measurement) { return noise_of(measurement, "all", kKernelNoise); }

// A real number of up to 1 is a fraction of the data sheet.
std::vector<FitParameter> all_below(const DeviceProfile& profile, const std::string& below) {
  std::vector<FitParameter> parameters;
  for (const std::string& path : numbers_below(profile, below)) {
    if (path.find("/corrections/") != std::string::npos) continue;  // corrections.h
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
      if (other.path == first) other.tied.push_back(parameter.path);
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
  part.choices = {tile_choices(), whole_numbers("kernels/grouped_gemm/rows_per_cluster", {1, 2})};
  part.noise = [](const Measurement& m, const std::string& phase) {
    if (as<GroupedGemmRecord>(m)) return kernel_noise(m);
    if (const auto* fused = as<FusedLayerRecord>(m)) return fused->precision == Precision::bf16 ? kernel_noise(m) : 0.0;
    return as<MoeLayerRecord>(m) && phase == "experts" ? noise_of(m, phase, kExpertsNoise) : 0.0;
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

FitPart cpu_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "cpu";
  part.form = "an expert: fixed time + the larger of bytes over DRAM or cache rate and products";
  part.parameters = {launch_of("cpu/expert")};
  for (size_t i = 0; i < profile.cpu.threads.size(); ++i) {
    part.parameters.push_back({fmt::format("cpu/threads/{}/memory", i), 1e9, 2e12, true});
    part.parameters.push_back({fmt::format("cpu/threads/{}/cache", i), 1e9, 1e13, true});
    part.parameters.push_back({fmt::format("cpu/threads/{}/compute", i), 1e9, 1e15, true});
  }
  part.choices = {whole_numbers("cpu/cache", {0, 32 << 20, 64 << 20, 128 << 20, 256 << 20})};
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
      "experts of the GPU are issued";
  part.parameters = {{"interference/gemm_beside_copies", 1, 3},
                     {"interference/copies_beside_gemm", 1, 3},
                     {"interference/copies_beside_cpu", 1, 3},
                     {"cpu/beside_copies", 1, 4},
                     launch_of("cpu/wake_up"),
                     launch_of("copies/host_to_device/gap"),
                     host_time("host/issue_expert")};
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
  for (const std::string& path : parameter.tied) set_profile_value(profile, path, value);
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

namespace {

// Starts of what a profile lacks; the fit moves them.
void prepare_copies(CopiesParameters& copies, const GpuSpec& gpu, const Measurement& m) {
  const double pcie = gpu.pcie.value_or(Rate{64e9}).bytes_per_s;
  const auto begin_with = [](std::optional<CopyParameters>& copy, double rate) {
    if (!copy) copy = CopyParameters{10_us, Rate{0.8 * rate}};
  };
  const auto* offload = as<OffloadRecord>(m);
  if (offload && offload->copy > 0) begin_with(copies.host_to_device, pcie);
  const auto* copy = as<CopyRecord>(m);
  if (!copy) return;
  if (copy->to == "peer") begin_with(copies.peer, gpu.scale_up.value_or(Rate{pcie}).bytes_per_s);
  if (copy->from == "host_pinned") begin_with(copies.host_to_device, pcie);
  if (copy->to == "host_pinned") begin_with(copies.device_to_host, pcie);
  if (copy->from == "device" && copy->to == "device")
    begin_with(copies.device_to_device, gpu.memory_bandwidth.bytes_per_s / 2);
}

// Whether the files' stack permutes before dispatch in a kernel of its own, which a profile may have none of.
bool permutes(const Measurement& m) {
  const auto* pass = as<PassRecord>(m);
  if (pass) return pass->op == "permute" || pass->op == "gather_tokens";
  const auto is_permute = [](const PhaseTime& time) { return time.phase == "permute"; };
  return as<MoeLayerRecord>(m) && std::any_of(m.times.begin(), m.times.end(), is_permute);
}

// Whether a layer on one GPU has phases of its own, but none that regroups. PyTorch's steps that gather their rows
// back do not either.
bool orders_by_permuting(const Measurement& m) {
  const auto* step = as<ModelStepRecord>(m);
  if (step && step->ranks == 1 && !step->scatters) return true;
  const auto* layer = as<MoeLayerRecord>(m);
  const auto is_regroup = [](const PhaseTime& time) { return time.phase == "regroup"; };
  return layer && layer->ranks == 1 && permutes(m) && std::none_of(m.times.begin(), m.times.end(), is_regroup);
}

// Softmax and top-k leave the gate's kernels for kernels of their own.
void measure_gate_apart(KernelParameters& kernels) {
  for (PassParameters* alone : {&kernels.softmax, &kernels.top_k}) {
    if (alone->kernels > 0) continue;
    alone->kernels = 1;
    kernels.gate.kernels = std::max(1, kernels.gate.kernels - 1);
  }
}

void prepare_collectives(DeviceProfile& profile, const GpuSpec& gpu) {
  SoftwareStack& stack = profile.collectives;
  if (!stack.copy_rate) stack.copy_rate = Rate{0.3 * gpu.memory_bandwidth.bytes_per_s};
  if (stack.point_to_point == Duration{}) stack.point_to_point = 1_us;
  if (!stack.small_messages) {
    stack.launch = std::max(stack.launch, 20_us);  // else the fit finds no size at which the other protocol is better
    stack.small_messages = SmallMessages{8_us, 1_us, Rate{0.1 * gpu.memory_bandwidth.bytes_per_s}};
  }
  if (!profile.scale_up && gpu.scale_up) profile.scale_up = Rate{0.9 * gpu.scale_up->bytes_per_s};
}

}  // namespace

void prepare_profile(DeviceProfile& profile, const GpuSpec& gpu, const std::vector<MeasurementFile>& files) {
  profile.kernels.gemm.corrections.clear();  // of another fit
  prepare_engine(profile, files);
  std::set<int32_t> threads;
  for (const MeasurementFile& file : files) {
    if (file.world > 1) prepare_collectives(profile, gpu);
    for (const Measurement& m : file.records) {
      prepare_copies(profile.copies, gpu, m);
      if (permutes(m)) profile.kernels.permute.kernels = std::max(1, profile.kernels.permute.kernels);
      if (const auto* pass = as<PassRecord>(m); pass && pass->op == "topk") measure_gate_apart(profile.kernels);
      if (const auto* expert = as<CpuExpertRecord>(m)) threads.insert(expert->threads);
      if (orders_by_permuting(m)) profile.kernels.regroup_alone = false;
      const auto* offload = as<OffloadRecord>(m);
      if (offload && offload->cpu > 0) threads.insert(offload->threads);
      if (offload && offload->hit > 0 && !profile.host.issue_expert) profile.host.issue_expert = 70_us;
    }
  }
  for (const int32_t count : threads) {
    const auto is_same = [count](const CpuThreadsParameters& entry) { return entry.threads == count; };
    if (std::none_of(profile.cpu.threads.begin(), profile.cpu.threads.end(), is_same))
      profile.cpu.threads.push_back({count, Rate{3e9 * count}, Rate{4e9 * count}, FlopRate{5e10 * count}});
  }
  std::sort(profile.cpu.threads.begin(), profile.cpu.threads.end(),
            [](const CpuThreadsParameters& a, const CpuThreadsParameters& b) { return a.threads < b.threads; });
}

}  // namespace moesim
