// What is not on the GPU runs on the CPU, in place: no weights move. An expert on its way when its tokens are routed
// counts as missing. A processor in the GPU's memory cannot reach the missing ones, so the GPU waits for these.

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

ExpertPlan schedule_where_missing(const ExpertScheduleInput& in, const NoOptions&, Rng&) { return missing_beside(in); }

[[maybe_unused]] const bool registered =
    Registry<ExpertSchedulePolicy>::instance().add("cpu_where_missing", "on the CPU what is not on the GPU",
                                                   schedule_where_missing, {.copies = false, .uses_cpu = true});

}  // namespace
}  // namespace moesim
