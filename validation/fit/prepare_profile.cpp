// Starts of a fit: what the files speak of and a profile lacks.
#include <algorithm>
#include <optional>
#include <set>

#include "validation/fit/bench_kernels.h"
#include "validation/fit/engine_parts.h"
#include "validation/fit/part_builders.h"

namespace moesim {
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
    if (file.format == "moesim-bench" && !file.is_imported) prepare_bench_kernels(profile.kernels);
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
