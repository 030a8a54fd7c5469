// Sequential schedule: one operation after another, nothing overlaps. What a plain engine without streams does.

#include "sim/moe/schedule.h"

namespace moesim {
namespace {

Schedule schedule_sequential(const ScheduleInput& in, const NoOptions&, Rng&) {
  Schedule schedule;
  int32_t last = -1;
  for (int32_t layer = 0; layer < int32_t(in.layer_is_moe.size()); ++layer) {
    last = append_attention(schedule, in, layer, last);
    if (!in.layer_is_moe[size_t(layer)]) {
      last = append_dense(schedule, layer, last);
      continue;
    }
    for (const Operation operation : {Operation::gate, Operation::dispatch, Operation::experts, Operation::shared,
                                      Operation::combine, Operation::unpermute})
      if (operation != Operation::shared || in.has_shared_experts)
        last = append(schedule, {operation, layer, 0, 1, Lane::compute, {last}});
  }
  append_end(schedule, in, last);
  return schedule;
}

[[maybe_unused]] const bool registered = Registry<SchedulePolicy>::instance().add(
    "sequential", "one operation after another, nothing overlaps", schedule_sequential);

}  // namespace
}  // namespace moesim
