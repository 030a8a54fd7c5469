#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "sim/cli/option_reader.h"
#include "sim/cli/trace_actions.h"
#include "traces/trace_copy.h"
#include "traces/trace_import.h"

namespace moesim {
namespace {

constexpr std::array<std::pair<const char*, TraceFormat>, 5> kFormats{{{"hdf5", TraceFormat::hdf5},
                                                                       {"npz", TraceFormat::npz},
                                                                       {"vllm", TraceFormat::vllm},
                                                                       {"sglang", TraceFormat::sglang},
                                                                       {"jsonl", TraceFormat::jsonl}}};

class SelectionReader : public OptionReader {
 public:
  using OptionReader::OptionReader;

  std::optional<NumberRanges> ranges(const char* option) {
    const std::optional<std::string> given = text(option);
    if (!given) return {};
    const std::optional<NumberRanges> parsed = parse_number_ranges(*given);
    if (!parsed)
      fault(option, fmt::format("must be numbers and ranges such as 0-99,200, but is {}", in_quotes(*given)));
    return parsed;
  }

  std::optional<TraceFormat> format() {
    const std::optional<std::string> given = text("from");
    if (!given) return {};
    std::vector<std::string> names;
    for (const auto& [name, format] : kFormats) {
      if (*given == name) return format;
      names.push_back(name);
    }
    fault("from", fmt::format("unknown format {}{}; known are {}", in_quotes(*given), suggestion(*given, names),
                              fmt::join(names, ", ")));
    return {};
  }
};

// A domain by its name, else by its number.
std::optional<int32_t> domain_of(SelectionReader& options, const RoutingTrace& about) {
  const std::optional<std::string> given = options.text("domain");
  if (!given) return {};
  const auto named = std::find(about.domains.begin(), about.domains.end(), *given);
  if (named != about.domains.end()) return int32_t(named - about.domains.begin());
  int32_t number = 0;
  const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), number);
  if (error == std::errc() && end == given->data() + given->size() && number >= 0) return number;
  options.fault("domain",
                fmt::format("the trace has no domain {}{}", in_quotes(*given), suggestion(*given, about.domains)));
  return {};
}

void copy(TraceInput& input, const TraceSelection& selection, const std::string& out) {
  TraceSink sink(selected_head(input.head(), selection), out);
  input.for_each_block({}, [&](const RoutingTrace& block, int64_t first_token) {
    sink.append(selected(block, first_token, input.head(), selection));
  });
  sink.finish();
  fmt::print("{}: {} of {} tokens\n", out, sink.tokens(), input.head().about.tokens);
}

}  // namespace

void run_trace_convert(const po::variables_map& given, const std::vector<std::string>& files) {
  SelectionReader options(given);
  const std::optional<TraceFormat> asked = options.format();
  const int64_t experts = options.number("experts", kTraceExpertsMax);
  TraceSelection selection;
  selection.warm_up_steps = options.number("warm-up-steps", INT32_MAX);
  throw_if_any("trace convert", options.faults());

  const TraceFormat format = asked ? *asked : trace_format(files[0]);
  std::optional<TraceInput> input;
  if (format == TraceFormat::hdf5) {
    if (experts > 0) throw ConfigError("--experts", "an HDF5 trace says its experts itself");
    input.emplace(files[0]);
  } else {
    ImportedTrace imported = import_trace(files[0], format, experts);
    for (const std::string& note : imported.trace.notes) fmt::print("note: {}\n", note);
    if (imported.warm_up_rows > 0) fmt::print("dropped {} warm-up rows that hold no routing\n", imported.warm_up_rows);
    input.emplace(std::move(imported.trace), files[0]);
  }
  throw_if_any("trace convert", check_selection(selection, input->head()));
  show_progress(*input, "converting");
  copy(*input, selection, given["output"].as<std::string>());
}

void run_trace_slice(const po::variables_map& given, const std::vector<std::string>& files) {
  TraceInput input(files[0]);
  SelectionReader options(given);
  TraceSelection selection;
  selection.requests = options.ranges("requests");
  selection.tokens = options.ranges("tokens");
  selection.layers = options.ranges("layers");
  selection.steps = options.ranges("steps");
  selection.domain = domain_of(options, input.head().about);
  std::vector<Fault> faults = options.faults();
  for (Fault& fault : check_selection(selection, input.head())) faults.push_back(std::move(fault));
  throw_if_any("trace slice", std::move(faults));
  show_progress(input, "slicing");
  copy(input, selection, given["output"].as<std::string>());
}

void run_trace_merge(const po::variables_map& given, const std::vector<std::string>& files) {
  std::vector<std::unique_ptr<TraceInput>> inputs;
  std::vector<Fault> faults;
  for (const std::string& file : files) try {
      inputs.push_back(std::make_unique<TraceInput>(file));
      show_progress(*inputs.back(), "merging " + file);
    } catch (const ConfigError& error) {
      add_faults_of(error, faults);
    }
  throw_if_any("trace merge", std::move(faults));
  const TraceHead head = merged_head(inputs);
  const std::string out = given["output"].as<std::string>();
  TraceSink sink(head, out);
  merge_traces(inputs, head, sink);
  sink.finish();
  fmt::print("{}: {} tokens of {} traces\n", out, sink.tokens(), files.size());
}

}  // namespace moesim
