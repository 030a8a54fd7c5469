// Whole layers on the CPU: the first `layers` MoE layers run there even where the GPU has some of their experts, the
// others on the GPU. llama.cpp keeps the experts of those others on the GPU, all of them; a GPU that has no room for
// that copies what is missing.

#include <optional>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

struct CpuLayersOptions {
  std::optional<int32_t> layers;
};

template <class Visitor>
void fields(Visitor& v, CpuLayersOptions& o) {
  v.optional("layers", o.layers, at_least(0), "first MoE layers whose experts run on the CPU; all unless said");
}

ExpertPlan schedule_cpu_layers(const ExpertScheduleInput& in, const CpuLayersOptions& options, Rng&) {
  ExpertPlan plan = all_on_gpu(in);
  ready_first(in, plan.order);
  if (options.layers && in.layer >= *options.layers) return plan;
  for (PlannedExpert& planned : plan.order)
    if (can_run_beside(in, in.experts[size_t(planned.index)])) planned.place = ExpertPlace::cpu;
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "cpu_layers", "all experts of the first layers on the CPU, those of the others on the GPU", schedule_cpu_layers);

}  // namespace
}  // namespace moesim
