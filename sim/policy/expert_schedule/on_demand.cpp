// On demand: every expert runs on the GPU, after a copy where it is not there. Those that are there run while the
// copies are under way, so the heaviest expert is copied first by default: its kernels hide the copies that follow.

#include <algorithm>
#include <array>
#include <utility>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

enum class CopyOrder : uint8_t { load, expert };

constexpr auto enum_names(CopyOrder) {
  return std::to_array<std::pair<CopyOrder, const char*>>({{CopyOrder::load, "load"}, {CopyOrder::expert, "expert"}});
}

struct OnDemandOptions {
  CopyOrder order = CopyOrder::load;
};

template <class Visitor>
void fields(Visitor& v, OnDemandOptions& o) {
  v.optional("order", o.order, "which expert is copied first: `load`, that of most tokens, or `expert`, the lowest");
}

ExpertPlan schedule_on_demand(const ExpertScheduleInput& in, const OnDemandOptions& options, Rng&) {
  ExpertPlan plan = all_on_gpu(in);
  if (options.order == CopyOrder::load) {
    ready_first(in, plan.order);
    return plan;
  }
  std::sort(plan.order.begin(), plan.order.end(), [&](const PlannedExpert& a, const PlannedExpert& b) {
    const bool a_is_missing = !in.experts[size_t(a.index)].resident;
    const bool b_is_missing = !in.experts[size_t(b.index)].resident;
    return a_is_missing != b_is_missing ? b_is_missing : a.index < b.index;
  });
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "on_demand", "all on the GPU, after a copy where needed", schedule_on_demand, {.copies = true, .uses_cpu = false});

}  // namespace
}  // namespace moesim
