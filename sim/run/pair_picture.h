// Traffic between GPUs as a picture: a square of cells, rows send and columns receive.
#pragma once

#include <span>
#include <string>

#include "sim/run/run_record.h"

namespace moesim {

// from,to,bytes: one row a pair that exchanged something.
std::string gpu_pairs_csv(const RunRecord& record);

std::string gpu_pairs_svg(const RunRecord& record, const std::string& title);

// The first run, each other, and what is less or more in it, side by side and all on one scale. The runs must have as
// many GPUs. At most kComparedMax others are drawn.
std::string gpu_pairs_compare_svg(std::span<const RunRecord> records, std::span<const std::string> labels);

inline constexpr size_t kComparedMax = 6;

}  // namespace moesim
