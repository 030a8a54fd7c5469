#include "sim/moe/load_prediction.h"

namespace moesim {

ExpertLoads loads_of(const StepRouting& routing) {
  ExpertLoads loads(size_t(routing.layers), std::vector<int64_t>(size_t(routing.experts), 0));
  if (routing.is_counts()) {
    for (size_t layer = 0; layer < loads.size(); ++layer)
      for (size_t at = 0; at < routing.counts[layer].size(); ++at)
        loads[layer][at % size_t(routing.experts)] += routing.counts[layer][at];
    return loads;
  }
  for (int32_t layer = 0; layer < routing.layers; ++layer)
    for (int64_t token = 0; token < routing.tokens; ++token)
      for (const uint16_t expert : routing.choices(layer, token))
        if (expert != kNoExpert) ++loads[size_t(layer)][expert];
  return loads;
}

}  // namespace moesim
