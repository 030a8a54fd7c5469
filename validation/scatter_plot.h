// Predicted against measured times as a picture.
#pragma once

#include <span>
#include <string>

#include "validation/error_table.h"

namespace moesim {

// SVG: both axes logarithmic and alike, one colour a kind, the diagonal and 10 % to both sides of it. What is dropped
// is grey; what is not predicted is left out.
std::string scatter_plot_svg(std::span<const Comparison> compared, const std::string& title);

}  // namespace moesim
