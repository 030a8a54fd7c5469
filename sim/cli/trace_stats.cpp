#include <fmt/core.h>

#include "sim/cli/trace_actions.h"
#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "sim/run/trace_picture.h"
#include "traces/trace_text.h"

namespace moesim {

void run_trace_info(const po::variables_map&, const std::vector<std::string>& files) {
  TraceInput input(files[0]);
  show_progress(input, "reading");
  fmt::print("{}", trace_info(trace_statistics(input, Depth::brief), Glyphs::unicode));
}

void run_trace_stats(const po::variables_map& given, const std::vector<std::string>& files) {
  const std::string format = given.count("format") > 0 ? given["format"].as<std::string>() : "text";
  if (format != "text" && format != "json")
    throw ConfigError("--format", fmt::format("must be text or json, but is {}", in_quotes(format)));
  TraceInput input(files[0]);
  show_progress(input, "reading");
  const TraceStatistics statistics = trace_statistics(input, Depth::full);
  if (given.count("svg") > 0) write_file_atomically(given["svg"].as<std::string>(), trace_picture(statistics));
  if (given.count("html") > 0) write_file_atomically(given["html"].as<std::string>(), trace_page(statistics));
  fmt::print("{}", format == "json" ? json_text(statistics) : trace_report(statistics));
}

}  // namespace moesim
