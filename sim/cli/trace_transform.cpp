#include <fmt/core.h>

#include <optional>

#include "sim/cli/option_reader.h"
#include "sim/cli/trace_actions.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "sim/config/reader.h"
#include "traces/reroute.h"
#include "traces/trace_copy.h"

namespace moesim {
namespace {

// --routing, a selection's name or an object of settings, and what --set changes of it.
Rerouting read_routing(const po::variables_map& given, JsonNode& root) {
  const std::string routing = given.count("routing") > 0 ? given["routing"].as<std::string>() : "{}";
  const bool is_object = routing.starts_with("{");
  root = parse_json(is_object ? routing : "{}", "--routing");
  if (!is_object) set_pointer(root, "/selection=" + routing);
  for (const std::string& setting : values_of(given, "set")) set_pointer(root, setting);
  return read_struct<Rerouting>(root, "--routing");
}

}  // namespace

void run_trace_transform(const po::variables_map& given, const std::vector<std::string>& files) {
  OptionReader reader(given);
  const std::string format = reader.text("format").value_or("text");
  if (format != "text" && format != "json")
    reader.fault("format", fmt::format("must be text or json, but is {}", in_quotes(format)));
  const auto seed = uint64_t(reader.number_between("seed", 0, kSeedMax, 0));
  throw_if_any("trace transform", reader.faults());
  JsonNode root;
  const Rerouting options = read_routing(given, root);
  TraceInput input(files[0]);
  throw_if_any("trace transform", check_rerouting(options, input.head()));

  show_progress(input, "transforming");
  const std::string out = given["output"].as<std::string>();
  std::optional<TraceSink> sink;
  const TokenWalk walk = [&](const auto& use) { input.for_each_block({}, use); };
  const ReroutedUse use{[&](const TraceHead& head) { sink.emplace(head, out); },
                        [&](const RoutingTrace& batch) { sink->append(batch); }};
  const RerouteCounts counts = reroute(options, input.head(), walk, seed, use);
  sink->finish();
  if (format == "json")
    fmt::print("{}", json_text(counts));
  else
    fmt::print("{}: {}\n{}", out, counts.routing, text_of_counts(counts));
}

}  // namespace moesim
