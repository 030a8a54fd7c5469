// Tables of published loads: [domain][published layer][expert], tokens in 10,000 that chose the expert.
#pragma once

#include <cstdint>
#include <vector>

namespace moesim {

extern const std::vector<std::vector<std::vector<int32_t>>> kOlmoeLoads;
extern const std::vector<std::vector<std::vector<int32_t>>> kMixtralLoads;

}  // namespace moesim
