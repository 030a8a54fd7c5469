#include "sim/run/offload/costs.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "models/llm_kernels.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

// Of a socket whose cores nobody measured.
CpuParameters data_sheet_cpu(const CpuSpec& cpu) {
  CpuThreadsParameters all;
  all.threads = cpu.cores;
  all.memory = {0.6 * cpu.memory_bandwidth.bytes_per_s};
  all.cache = all.memory;
  all.compute = {0.2 * cpu.bf16.value_or(FlopRate{1e12}).flop_per_s};
  CpuParameters parameters;
  parameters.threads.push_back(all);
  return parameters;
}

// Remembers what `compute` says of so many tokens.
template <class Compute>
Duration remembered(std::vector<Duration>& times, int64_t tokens, Compute compute) {
  if (size_t(tokens) >= times.size()) times.resize(size_t(tokens) + 1);
  Duration& time = times[size_t(tokens)];
  if (time == Duration{} && tokens > 0) time = compute();
  return time;
}

}  // namespace

ExpertCosts::ExpertCosts(const LoadedScenario& loaded, const StepModel& model) : loaded_(loaded), model_(model) {
  const LlmSpec& llm = model.llm;
  weights_ = bytes_of(expert_parameters(llm), model.precision.experts);
  const OffloadCpuConfig& config = loaded.scenario.offload->cpu;
  const bool is_measured = loaded.profile && !loaded.profile->cpu.threads.empty();
  cpu_ = is_measured ? loaded.profile->cpu : data_sheet_cpu(loaded.cpu);
  cpu_.cache = {};  // weights that are needed once a token come from memory
  threads_ = config.threads.value_or(cpu_.threads.back().threads);
  CpuThreadsParameters rates = cpu_threads(cpu_, threads_);
  if (config.memory) rates.memory = *config.memory;
  if (config.compute) rates.compute = *config.compute;
  cpu_.threads = {rates};
  if (config.expert) cpu_.expert = *config.expert;
  cpu_first_ = config.first.value_or(Duration{});
  cpu_reads_ = rates.memory;
  has_cpu_ = true;
}

Duration ExpertCosts::on_gpu(int64_t tokens) {
  const std::optional<Duration>& measured = loaded_.scenario.offload->gpu_expert;
  if (measured) return tokens == 0 ? Duration{} : *measured;
  return remembered(gpu_times_, tokens, [&] { return together_on_gpu(std::array{tokens}); });
}

Duration ExpertCosts::together_on_gpu(std::span<const int64_t> rows) const {
  const std::optional<Duration>& measured = loaded_.scenario.offload->gpu_expert;
  if (measured) return int64_t(rows.size()) * *measured;
  return experts_cost({model_.gpu, model_.llm, model_.precision, 1}, rows).time;
}

Duration ExpertCosts::beside(int32_t layer, int64_t held_tokens, int64_t received_copies, int64_t rows) const {
  const LlmOnGpu gpu{model_.gpu, model_.llm, model_.precision, 1};
  Duration time;
  const LlmSpec& llm = model_.llm;
  if (held_tokens > 0 && llm.shared_experts > 0)
    time += shared_experts_cost(gpu, held_tokens).time;
  else if (held_tokens > 0 && llm.dense_ffn_per_layer > 0)  // LongCat-Flash
    time += dense_ffn_cost(gpu, layer, held_tokens).time;
  if (model_.layout.ep == 1 && !model_.gpu.kernels.regroup_alone) return time;
  const int64_t hidden = model_.llm.hidden;
  time += kernel_time(model_.gpu, MoveRows{received_copies, rows, hidden, RowPass::regroup});
  return time + kernel_time(model_.gpu, MoveRows{rows, received_copies, hidden, RowPass::unregroup});
}

Duration ExpertCosts::on_cpu(int64_t tokens) {
  const OffloadCpuConfig& config = loaded_.scenario.offload->cpu;
  if (config.per_token) return config.expert.value_or(Duration{}) + tokens * *config.per_token;
  return remembered(cpu_times_, tokens, [&] {
    return cpu_experts_time(
        cpu_, {1, model_.llm.hidden, model_.llm.moe_intermediate, tokens, threads_, model_.precision.experts});
  });
}

Duration ExpertCosts::decode(Bytes packed) const {
  const std::optional<Rate>& rate = loaded_.scenario.offload->decode;
  return rate ? transfer_time(packed, *rate) : Duration{};
}

}  // namespace moesim
