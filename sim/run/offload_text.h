// Offloading in words and tables.
#pragma once

#include <string>

#include "sim/run/offload_result.h"

namespace moesim {

// Lines for the summary of a run.
std::string offload_text(const OffloadResult& offload);

// Tables: one row a MoE layer, and one a period.
std::string offload_layers_csv(const OffloadResult& offload);
std::string offload_over_time_csv(const OffloadResult& offload);

}  // namespace moesim
