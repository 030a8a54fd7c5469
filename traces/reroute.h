// A whole trace, of any length, with its experts chosen anew.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "traces/rerouter.h"
#include "traces/trace_head.h"

namespace moesim {

// What is wrong with a transformation of such a trace, by the setting.
std::vector<Fault> check_rerouting(const Rerouting& options, const TraceHead& head);

// Calls its argument with one block after another of the whole trace, and with each block's first token.
using TokenWalk = std::function<void(const std::function<void(const RoutingTrace& block, int64_t first_token)>&)>;

struct ReroutedUse {
  std::function<void(const TraceHead&)> begin;     // once, before the first batch
  std::function<void(const RoutingTrace&)> batch;  // of batch_tokens tokens, the last of what is left
};

// Walks through the trace up to four times: what must be learned comes first (loads, thresholds, the longest row).
// check_rerouting must find nothing wrong.
RerouteCounts reroute(const Rerouting& options, const TraceHead& head, const TokenWalk& walk, uint64_t seed,
                      const ReroutedUse& use);

// The same of a trace in memory.
RoutingTrace rerouted(const Rerouting& options, const RoutingTrace& trace, uint64_t seed, RerouteCounts& counts);

// The counts for a terminal.
std::string text_of_counts(const RerouteCounts& counts);

}  // namespace moesim
