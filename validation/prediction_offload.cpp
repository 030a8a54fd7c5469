// A MoE layer with experts in GPU memory, in host memory and on the CPU, as tasks: the host issues the copies, which
// run in a row, then the experts that are resident, then those that are copied, each of which waits for its copy; then
// the same host thread computes the CPU's experts.
#include <algorithm>
#include <array>

#include "models/cpu_cost.h"
#include "validation/prediction_parts.h"

namespace moesim {
namespace {

class OffloadBuilder {
 public:
  OffloadBuilder(const PredictionModel& model, const OffloadRecord& offload) : model_(model), offload_(offload) {
    const CostModel cost = cost_model_of(model);
    kernels_ = {kernel_cost(cost, DenseGemm{offload.tokens, 2 * offload.f, offload.d}),
                kernel_cost(cost, SwiGlu{offload.tokens, offload.f}),
                kernel_cost(cost, DenseGemm{offload.tokens, offload.d, offload.f})};
  }

  void add_gpu_part(bool beside_cpu) {
    std::vector<TaskId> copies;
    for (int32_t i = 0; i < offload_.copy; ++i) copies.push_back(add_copy(i == 0, beside_cpu));
    for (int32_t i = 0; i < offload_.hit; ++i) add_expert(nullptr);
    for (const TaskId copy : copies) add_expert(&copy);
  }

  void add_cpu_part(bool beside_gpu) {
    if (offload_.cpu == 0) return;
    const CpuParameters& cpu = model_.profile.cpu;
    Duration time = cpu_experts_time(cpu, {offload_.cpu, offload_.d, offload_.f, offload_.tokens, offload_.threads});
    if (beside_gpu && offload_.copy > 0) time = scaled(time, cpu.beside_copies);
    if (beside_gpu && offload_.hit + offload_.copy > 0) time += cpu.wake_up;
    add_host_task(time);
  }

  const TaskGraph& graph() const { return graph_; }

 private:
  static Duration scaled(Duration time, double factor) { return duration_of_seconds(time.seconds() * factor); }

  // Of launch number `launch` of an expert, of `launches`.
  TaskId issue(int32_t launch, int32_t launches) {
    const HostParameters& host = model_.profile.host;
    const Duration time =
        host.issue_expert ? time_of_launch(issue_expert_time(host, model_.profile.cpu, std::max(offload_.threads, 1)),
                                           launches, launch)
                          : host.issue;
    return add_host_task(time);
  }

  TaskId add_host_task(Duration time) {
    return add_task(graph_, {stream_of(GpuId{0}, Lane::host), kNoPool, 0, time, 0});
  }

  TaskId add_copy(bool is_first, bool beside_cpu) {
    const CopyParameters& parameters = *model_.profile.copies.host_to_device;
    const Bytes bytes = bytes_of(3 * offload_.d * offload_.f, Precision::bf16);
    Duration time = parameters.gap + transfer_time(bytes, parameters.rate);
    if (is_first) time += parameters.latency;
    if (beside_cpu && offload_.cpu > 0) time = scaled(time, model_.profile.interference.copies_beside_cpu);
    const TaskId issued = add_host_task(model_.profile.host.issue_copy);
    const TaskId copy = add_task(graph_, {stream_of(GpuId{0}, Lane::dispatch), kNoPool, 0, time, 0});
    add_dependency(graph_, issued, copy);
    return copy;
  }

  void add_expert(const TaskId* copy) {
    int32_t launches = 0;
    for (const KernelCost& kernel : kernels_) launches += kernel.launches;
    int32_t issued_before = 0;
    for (const KernelCost& kernel : kernels_)
      for (int32_t launch = 0; launch < kernel.launches; ++launch) {
        const TaskId issued = issue(issued_before++, launches);
        const Duration time = time_of_launch(kernel.time, kernel.launches, launch);
        const TaskId task = add_task(graph_, {stream_of(GpuId{0}, Lane::compute), kNoPool, 0, time, 0});
        add_dependency(graph_, issued, task);
        if (copy != nullptr) add_dependency(graph_, *copy, task);
      }
  }

  const PredictionModel& model_;
  const OffloadRecord& offload_;
  std::array<KernelCost, 3> kernels_;
  TaskGraph graph_;
};

}  // namespace

std::vector<Predicted> predict_offload(const PredictionModel& model, const OffloadRecord& offload,
                                       std::span<const PhaseTime> phases) {
  std::vector<Predicted> predicted;
  const bool knows_copies = offload.copy == 0 || model.profile.copies.host_to_device.has_value();
  const bool knows_cpu = offload.cpu == 0 || !model.profile.cpu.threads.empty();
  Server server(model, 1);
  for (const PhaseTime& time : phases) {
    const bool has_gpu = time.phase != "cpu";
    const bool has_cpu = time.phase != "gpu";
    if ((has_gpu && !knows_copies) || (has_cpu && !knows_cpu)) continue;
    OffloadBuilder builder(model, offload);
    if (has_gpu) builder.add_gpu_part(has_cpu);
    if (has_cpu) builder.add_cpu_part(has_gpu);
    predicted.push_back({time.phase, us_of(server.run(builder.graph()))});
  }
  return predicted;
}

}  // namespace moesim
