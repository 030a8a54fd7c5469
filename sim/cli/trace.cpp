#include <fmt/core.h>

#include "sim/cli/command.h"
#include "sim/config/error.h"
#include "traces/routing_trace_file.h"
#include "traces/trace_text.h"

namespace moesim {
namespace {

po::options_description options() { return po::options_description("options"); }

int run(const po::variables_map&, const std::vector<std::string>& positional) {
  if (positional[0] != "info")
    throw ConfigError("trace", fmt::format("unknown action \"{}\"; known is \"info\"", positional[0]));
  fmt::print("{}", trace_info(read_routing_trace(positional[1])));
  return kOk;
}

}  // namespace

const Command kTraceCommand = {"trace",
                               "info FILE",
                               "Show the shape, load skew and inter-layer affinity of a routing trace",
                               "  moesim trace info traces/samples/moe64k8-sample.h5\n",
                               options,
                               2,
                               2,
                               run};

}  // namespace moesim
