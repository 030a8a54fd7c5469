// Shares of copies that level the loads of GPUs.
#pragma once

#include <vector>

#include "sim/moe/replica_choice.h"

namespace moesim {

// One row: of these loads [expert], the part of each copy so that no GPU's load could be lowered by moving tokens of
// one expert alone. Evenly where an expert has no load.
std::vector<double> levelled_shares(const ReplicaInput& in, const std::vector<double>& load);

}  // namespace moesim
