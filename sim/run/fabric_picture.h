// The fabric as a picture, each link coloured by what it carried.
#pragma once

#include <span>
#include <string>

#include "sim/run/run_record.h"

namespace moesim {

std::string fabric_svg(const RunRecord& record, const std::string& title);

// The first run, each other, and what is less or more in it, side by side and all on one scale. The runs must have the
// same fabric. At most kComparedMax others are drawn.
std::string fabric_compare_svg(std::span<const RunRecord> records, std::span<const std::string> labels);

// Whether two runs have fabrics of the same parts, so that their pictures can be compared.
bool same_fabric(const RunRecord& a, const RunRecord& b);

}  // namespace moesim
