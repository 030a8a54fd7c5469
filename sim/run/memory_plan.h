// What lies in each GPU's memory, and the error where it does not fit.
#pragma once

#include <vector>

#include "sim/moe/batch.h"
#include "sim/moe/layout.h"
#include "sim/run/results.h"
#include "sim/run/scenario.h"

namespace moesim {

// [gpu]. Throws a ConfigError that names the bytes by kind where a GPU would be filled beyond what is usable.
std::vector<MemoryResult> plan_memory(const LoadedScenario& loaded, const Layout& layout, const Batch& batch);

}  // namespace moesim
