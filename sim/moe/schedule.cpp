#include "sim/moe/schedule.h"

#include <map>
#include <tuple>

#include "sim/core/check.h"

namespace moesim {

void check_schedule(const Schedule& schedule, const ScheduleInput& input) {
  std::map<std::pair<int32_t, Operation>, std::vector<bool>> parts_done;
  for (size_t i = 0; i < schedule.size(); ++i) {
    const ScheduledOperation& step = schedule[i];
    for (const int32_t before : step.after) CHECK(before >= 0 && size_t(before) < i);
    CHECK(step.layer >= 0 && size_t(step.layer) < input.layer_is_moe.size());
    CHECK(step.part >= 0 && step.part < step.parts);
    std::vector<bool>& done = parts_done[{step.layer, step.operation}];
    if (step.operation == Operation::tp) continue;  // twice a layer
    done.resize(size_t(step.parts));
    CHECK(!done[size_t(step.part)]);
    done[size_t(step.part)] = true;
  }
  const auto whole = [&](int32_t layer, Operation operation) {
    const auto found = parts_done.find({layer, operation});
    if (found == parts_done.end()) return false;
    for (const bool part : found->second)
      if (!part) return false;
    return true;
  };
  for (size_t layer = 0; layer < input.layer_is_moe.size(); ++layer) {
    CHECK(whole(int32_t(layer), Operation::attention));
    if (!input.layer_is_moe[layer]) {
      CHECK(whole(int32_t(layer), Operation::dense));
      continue;
    }
    for (const Operation operation :
         {Operation::gate, Operation::dispatch, Operation::experts, Operation::combine, Operation::unpermute})
      CHECK(whole(int32_t(layer), operation));
    CHECK(whole(int32_t(layer), Operation::shared) == input.has_shared_experts);
  }
}

int32_t append(Schedule& schedule, const ScheduledOperation& operation) {
  schedule.push_back(operation);
  return int32_t(schedule.size()) - 1;
}

int32_t append_attention(Schedule& schedule, const ScheduleInput& in, int32_t layer, int32_t before) {
  const auto next = [&](Operation operation) {
    std::vector<int32_t> after;
    if (before >= 0) after.push_back(before);
    before = append(schedule, {operation, layer, 0, 1, Lane::compute, after});
  };
  if (in.has_tp) next(Operation::tp);
  next(Operation::attention);
  if (in.has_prediction && in.layer_is_moe[size_t(layer)]) next(Operation::predict);
  if (in.has_tp) next(Operation::tp);
  return before;
}

int32_t append_dense(Schedule& schedule, int32_t layer, int32_t before) {
  return append(schedule, {Operation::dense, layer, 0, 1, Lane::compute, {before}});
}

void append_end(Schedule& schedule, const ScheduleInput& in, int32_t before) {
  const int32_t last_layer = int32_t(in.layer_is_moe.size()) - 1;
  if (in.has_lm_head) before = append(schedule, {Operation::lm_head, last_layer, 0, 1, Lane::compute, {before}});
  if (in.is_coherent) append(schedule, {Operation::coherence, last_layer, 0, 1, Lane::compute, {before}});
}

}  // namespace moesim
