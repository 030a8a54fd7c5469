#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "sim/cli/command.h"
#include "sim/cli/trace_actions.h"
#include "sim/config/error.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

constexpr size_t kFilesMax = 4096;

const auto& actions() {
  static const std::array<TraceAction, 8> all{
      {{"info", "FILE", {}, 1, 1, run_trace_info},
       {"stats", "FILE", {"format", "svg", "html"}, 1, 1, run_trace_stats},
       {"convert", "FILE -o OUT", {"output", "from", "experts", "warm-up-steps"}, 1, 1, run_trace_convert},
       {"slice", "FILE -o OUT", {"output", "requests", "tokens", "layers", "steps", "domain"}, 1, 1, run_trace_slice},
       {"merge", "FILE FILE... -o OUT", {"output"}, 2, kFilesMax, run_trace_merge},
       {"transform",
        "FILE --routing KIND -o OUT",
        {"output", "routing", "set", "seed", "format"},
        1,
        1,
        run_trace_transform},
       {"synth",
        "--like TRACE|--preset NAME [--report FILE] -o OUT",
        {"output", "like", "preset", "tokens", "experts", "top-k", "layers", "seed", "jump", "swap", "report"},
        0,
        0,
        run_trace_synth},
       {"arrivals",
        "[FILE]",
        {"output", "format", "seed", "process", "rate", "variation", "burst-rate", "burst-share", "burst-s", "period-s",
         "count", "lengths", "documents"},
        0,
        1,
        run_trace_arrivals}}};
  return all;
}

po::options_description options() {
  po::options_description options("options");
  options.add_options()("output,o", po::value<std::string>(),
                        "convert, slice, merge, transform, synth: the file to write; .npz where its name ends so, else "
                        "HDF5. arrivals: CSV, or JSON where its name ends in .json")(
      "format", po::value<std::string>(), "stats, transform, arrivals: what to print, text (default) or json")(
      "svg", po::value<std::string>(), "stats: draw the statistics into this file")(
      "html", po::value<std::string>(), "stats: write one page with picture and tables into this file")(
      "from", po::value<std::string>(),
      "convert: format of the input, hdf5, npz, vllm, sglang or jsonl; else by content")(
      "experts", po::value<std::string>(),
      "convert: routed experts, where the input does not say them; synth: how many there shall be")(
      "warm-up-steps", po::value<std::string>(), "convert: drop the tokens of steps below this number")(
      "requests", po::value<std::string>(), "slice: keep these requests, such as 0-99,200")(
      "tokens", po::value<std::string>(),
      "slice: keep the tokens at these places, such as 0-4095; synth: how many to make")(
      "layers", po::value<std::string>(),
      "slice: keep these layers, by their numbers in the model; synth: how many to make")(
      "steps", po::value<std::string>(), "slice: keep the tokens of these steps")(
      "domain", po::value<std::string>(), "slice: keep the tokens of this domain, by name or number")(
      "seed", po::value<std::string>(), "transform, synth, arrivals: of all that is drawn; 0")(
      "routing", po::value<std::string>(),
      "transform: top_k, top_p, grouped, group_limited or expert_choice, or an object of settings")(
      "set", po::value<std::vector<std::string>>(), "transform: /setting=value of the routing; may be repeated");
  add_synth_options(options);
  add_arrival_options(options);
  return options;
}

// Everything that is wrong with the command line.
void check_command_line(const TraceAction& action, const po::variables_map& given, size_t files) {
  std::vector<Fault> faults;
  if (files < action.files_min || files > action.files_max)
    faults.push_back({0, "", fmt::format("usage: moesim trace {} {}", action.name, action.arguments)});
  const po::options_description known = options();
  for (const auto& option : known.options()) {
    const std::string& name = option->long_name();
    const bool taken = std::count(action.options.begin(), action.options.end(), name) > 0;
    if (given.count(name) > 0 && !taken)
      faults.push_back({0, "--" + name, fmt::format("is not an option of trace {}", action.name)});
    const bool needed = action.run == run_trace_synth ? given.count("report") == 0 : action.run != run_trace_arrivals;
    if (name == "output" && taken && needed && given.count(name) == 0)
      faults.push_back({0, "--output", "must say which file to write"});
  }
  throw_if_any("trace " + std::string(action.name), std::move(faults));
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  std::vector<std::string> names;
  for (const TraceAction& action : actions()) {
    names.push_back(action.name);
    if (positional[0] != action.name) continue;
    const std::vector<std::string> files(positional.begin() + 1, positional.end());
    check_command_line(action, given, files.size());
    try {
      action.run(given, files);
    } catch (const Stopped&) {
      fmt::print(stderr, "moesim: stopped; nothing was written\n");
      return kInterrupted;
    }
    return kOk;
  }
  throw ConfigError("trace",
                    fmt::format("unknown action {}{}", in_quotes(positional[0]), suggestion(positional[0], names)));
}

}  // namespace

void show_progress(TraceInput& input, const std::string& what) {
  input.progress = [what, shown = isatty(STDERR_FILENO) != 0, last = -1](double share) mutable {
    const int percent = int(100 * share);
    if (shown && percent != last) fmt::print(stderr, "\r{} {:3} %{}", what, percent, percent == 100 ? "\r\x1b[K" : "");
    last = percent;
    if (interrupted) throw Stopped{};
  };
}

const Command kTraceCommand = {
    "trace",
    "info|stats|convert|slice|merge|transform|synth|arrivals FILE...",
    "Show, measure, convert, cut, join, reroute and synthesise routing traces; workloads of requests",
    "  moesim trace info traces/samples/moe64k8-sample.h5\n"
    "  moesim trace stats traces/samples/moe64k8-sample.h5 --html stats.html\n"
    "  moesim trace convert recorded.npz -o recorded.h5\n"
    "  moesim trace slice traces/samples/moe64k8-sample.h5 --domain python -o python.h5\n"
    "  moesim trace merge first.h5 second.h5 -o both.h5\n"
    "  moesim trace transform recorded.h5 --set /capacity_factor=1.25 -o dropped.h5\n"
    "  moesim trace synth --like traces/samples/moe64k8-sample.h5 --tokens 100000 -o made.h5\n"
    "  moesim trace synth --preset mixtral-8x7b --report - -o mixtral.h5\n"
    "  moesim trace arrivals --process gamma --rate 10 --count 1000 -o requests.csv\n",
    options,
    1,
    4096,
    run};

}  // namespace moesim
