// Orders and plans that several policies share.
#pragma once

#include <span>

#include "sim/moe/offload/expert_schedule.h"

namespace moesim {

// Whether a has more tokens than b, or comes first where they have the same: indices into the input's experts.
bool is_heavier(const ExpertScheduleInput& in, int32_t a, int32_t b);

// The order of ready_first: experts that are there, those on their way by arrival, those to copy; the heaviest first
// among equals.
bool is_ready_before(const ExpertScheduleInput& in, int32_t a, int32_t b);

void ready_first(const ExpertScheduleInput& in, std::span<PlannedExpert> order);

// Each expert on the GPU, in the input's order.
ExpertPlan all_on_gpu(const ExpertScheduleInput& in);

// Those that are not on the GPU beside it, where they can run there.
ExpertPlan missing_beside(const ExpertScheduleInput& in);

// When the GPU could begin with an expert, if its copy began now where it needs one.
Duration ready_at(const ExpertWork& work, Duration bus);

}  // namespace moesim
