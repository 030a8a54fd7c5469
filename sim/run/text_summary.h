// Results as text that fits a screen.
#pragma once

#include <string>
#include <vector>

#include "sim/run/results.h"

namespace moesim {

// A number with the prefix that keeps it between 1 and 1000: "1.234 ms", "45.2 MB".
std::string with_prefix(double value, const char* unit);

std::string text_summary(const Results& results);

// Variants side by side with the difference to the first. labels[v] says what varies, "/placement=greedy".
std::string comparison_text(const std::vector<std::string>& labels, const std::vector<Results>& results);

}  // namespace moesim
