#include "sim/run/offload/costs.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "models/llm_kernels.h"
#include "models/roofline.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

// Tokens of an expert up to which products of matrix and vector serve: llama.cpp's kernels take as many.
constexpr int64_t kVectorRows = 8;

// Peak of matrix units over that of vector units; 15 on an H100 SXM (989 and 67 Tflop/s), less on smaller GPUs.
constexpr double kMatrixOverVector = 15;

// Of a socket whose cores nobody measured.
CpuParameters data_sheet_cpu(const CpuSpec& cpu, const OffloadCpuConfig& config) {
  const CpuInstructions best = cpu.bf16 ? CpuInstructions::amx : CpuInstructions::avx512;
  return cpu_of_data_sheet(cpu, config.threads.value_or(cpu.cores), config.instructions.value_or(best));
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

ExpertCosts::ExpertCosts(const LoadedScenario& loaded, const StepModel& model, const std::vector<int64_t>& past_load)
    : loaded_(loaded), model_(model) {
  add_widths(past_load);
  const OffloadCpuConfig& config = loaded.scenario.offload->cpu;
  const bool is_measured = loaded.profile && !loaded.profile->cpu.threads.empty();
  cpu_ = is_measured ? loaded.profile->cpu : data_sheet_cpu(loaded.cpu, config);
  cpu_.cache = {};  // weights that are needed once a token come from memory
  threads_ = config.threads.value_or(cpu_.threads.back().threads);
  CpuThreadsParameters rates = cpu_threads(cpu_, threads_);
  if (config.memory) rates.memory = *config.memory;
  if (config.compute) rates.compute = *config.compute;
  cpu_.threads = {rates};
  if (config.expert) cpu_.expert = *config.expert;
  if (config.beside_copies) cpu_.beside_copies = *config.beside_copies;
  cpu_first_ = config.first.value_or(is_measured ? cpu_.wake_up : Duration{});
  cpu_reads_ = rates.memory;
  add_launches();
}

// None where an expert's time is the scenario's: it was measured with them.
void ExpertCosts::add_launches() {
  if (model_.launch != Launch::eager || loaded_.scenario.offload->gpu_expert) return;
  const HostParameters& host = model_.host;
  const CpuParameters cpu = loaded_.profile ? loaded_.profile->cpu : CpuParameters{};
  const int32_t kernels = in_loop(1).launches;
  const Duration expert = host.issue_expert ? issue_expert_time(host, cpu, threads_) : int64_t{kernels} * host.issue;
  launches_ = {host.issue_copy, expert, kernels};
}

Duration ExpertCosts::on_gpu(int64_t tokens) {
  const std::optional<Duration>& measured = loaded_.scenario.offload->gpu_expert;
  if (measured) return tokens == 0 ? Duration{} : *measured;
  return remembered(gpu_times_, tokens,
                    [&] { return launches_ ? in_loop(tokens).time : together_on_gpu(std::array{tokens}); });
}

// One of a loop over experts.
KernelCost ExpertCosts::in_loop(int64_t tokens) const {
  const LlmSpec& llm = model_.llm;
  const int64_t up_matrices = llm.ffn_matrices - 1;
  const int64_t width = llm.moe_intermediate;
  const Precision weights = model_.precision.experts;
  const KernelCost activation = up_matrices == 2 ? kernel_cost(model_.gpu, SwiGlu{tokens, width})
                                                 : kernel_cost(model_.gpu, ElementWise{tokens * width, tokens * width});
  return in_sequence(std::array{kernel_cost(model_.gpu, DenseGemm{tokens, up_matrices * width, llm.hidden, weights}),
                                activation, kernel_cost(model_.gpu, DenseGemm{tokens, llm.hidden, width, weights})});
}

Duration ExpertCosts::together_on_gpu(std::span<const int64_t> rows) const {
  const std::optional<Duration>& measured = loaded_.scenario.offload->gpu_expert;
  if (measured) return int64_t(rows.size()) * *measured;
  const Duration grouped = experts_cost({model_.gpu, model_.llm, model_.precision, 1}, rows).time;
  if (loaded_.scenario.offload->kernels == ExpertKernels::grouped) return grouped;
  const bool are_few = std::all_of(rows.begin(), rows.end(), [](int64_t of) { return of <= kVectorRows; });
  return are_few ? std::min(grouped, by_vectors(rows)) : grouped;
}

// Two launches, of which one holds the activation; weights once from memory, products outside the matrix units.
Duration ExpertCosts::by_vectors(std::span<const int64_t> rows) const {
  const GroupedGemmParameters& kernel = model_.gpu.kernels.grouped_gemm;
  const int64_t values = expert_parameters(model_.llm);
  const double bytes = double(bytes_of(int64_t(rows.size()) * values, model_.precision.experts).count);
  const double tokens = double(std::accumulate(rows.begin(), rows.end(), int64_t{0}));
  const double reading_s = bytes / (model_.gpu.gpu.memory_bandwidth.bytes_per_s * kernel.memory);
  const double computing_s = 2 * tokens * double(values) / (model_.gpu.gpu.bf16.flop_per_s / kMatrixOverVector);
  return 2 * kernel.launch + duration_of_seconds(fourth_norm(reading_s, computing_s));
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

// A CPU reads as many bytes as are stored.
Duration ExpertCosts::on_cpu(ExpertItem item, int64_t tokens) {
  const OffloadCpuConfig& config = loaded_.scenario.offload->cpu;
  if (config.per_token) return config.expert.value_or(Duration{}) + tokens * *config.per_token;
  Width& width = widths_[size_t(width_[size_t(item)])];
  return remembered(width.cpu_times, tokens, [&] {
    CpuParameters cpu = cpu_;
    cpu.threads[0].memory.bytes_per_s *=
        kBitsMax / 8 * double(expert_parameters(model_.llm)) / double(width.stored.count);
    return cpu_experts_time(cpu,
                            {1, model_.llm.hidden, model_.llm.moe_intermediate, tokens, threads_, Precision::bf16});
  });
}

void ExpertCosts::add_widths(const std::vector<int64_t>& past_load) {
  const OffloadConfig& config = *loaded_.scenario.offload;
  const int32_t layers = moe_layers(model_.llm);
  const BitInput in{layers, int32_t(model_.llm.experts), past_load, loaded_.folder.string()};
  std::vector<double> bits(past_load.size(), double(bits_of(model_.precision.experts)));
  if (config.bits) {
    Rng rng = Rng::stream(loaded_.scenario.seed, "expert bits");
    bits = config.bits->decide(in, rng);
    check_bits(in, bits);
  }
  for (const double each : bits) {
    const auto is_same = [&](const Width& width) { return width.bits == each; };
    const auto found = std::find_if(widths_.begin(), widths_.end(), is_same);
    width_.push_back(int32_t(found - widths_.begin()));
    if (found != widths_.end()) continue;
    const Codec codec = codec_for(config.codecs, each);
    const Bytes stored = stored_bytes(codec, expert_parameters(model_.llm));
    widths_.push_back({each, stored, decode_time(codec, stored), {}});
  }
}

}  // namespace moesim
