// The search over three queues, for policies that fall back on it.
#pragma once

#include <array>
#include <utility>

#include "sim/moe/offload/expert_schedule.h"

namespace moesim {

// Which queue goes first where two would be done at the same time.
enum class QueueTies : uint8_t { cpu, gpu };

constexpr auto enum_names(QueueTies) {
  return std::to_array<std::pair<QueueTies, const char*>>({{QueueTies::cpu, "cpu"}, {QueueTies::gpu, "gpu"}});
}

// HybriMoE's search over the three queues: again and again what would be done first.
ExpertPlan three_queues_plan(const ExpertScheduleInput& in, QueueTies ties);

}  // namespace moesim
