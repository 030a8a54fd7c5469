// In which order the GPU takes experts, for policies that agree on it.
#pragma once

#include <span>

#include "sim/moe/offload/expert_schedule.h"

namespace moesim {

// Whether a has more tokens than b, or comes first where they have the same: indices into the input's experts.
bool is_heavier(const ExpertScheduleInput& in, int32_t a, int32_t b);

// Sorts: experts that are there, those on their way by arrival, those to copy; the heaviest first among equals.
void ready_first(const ExpertScheduleInput& in, std::span<PlannedExpert> order);

// Each expert in the input's order, on the GPU.
ExpertPlan all_on_gpu(const ExpertScheduleInput& in);

}  // namespace moesim
