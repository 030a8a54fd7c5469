#include <fmt/core.h>

#include <charconv>
#include <optional>

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

uint64_t read_seed(const po::variables_map& given) {
  if (given.count("seed") == 0) return 1;
  const std::string text = given["seed"].as<std::string>();
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size())
    throw ConfigError("--seed", fmt::format("must be a whole number, but is {}", in_quotes(text)));
  return seed;
}

}  // namespace

void run_trace_transform(const po::variables_map& given, const std::vector<std::string>& files) {
  const std::string format = given.count("format") > 0 ? given["format"].as<std::string>() : "text";
  if (format != "text" && format != "json")
    throw ConfigError("--format", fmt::format("must be text or json, but is {}", in_quotes(format)));
  JsonNode root;
  const Rerouting options = read_routing(given, root);
  const uint64_t seed = read_seed(given);
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
