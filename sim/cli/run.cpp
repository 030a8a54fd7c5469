#include <fmt/core.h>

#include <chrono>

#include "sim/cli/command.h"
#include "sim/cli/progress_bar.h"
#include "sim/config/json_text.h"
#include "sim/run/result_files.h"
#include "sim/run/runner.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("out", po::value<std::string>(),
                        "folder for results.json, CSV tables, pictures (SVG) and timeline.json")(
      "set", po::value<std::vector<std::string>>(), "/pointer=value: change a setting of the file; may be repeated")(
      "seed", po::value<std::string>(), "seed of all random choices")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json")(
      "stats", "print host time and memory on stderr");
  return options;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  const auto begin = std::chrono::steady_clock::now();
  TraceStore traces;
  const LoadedScenario loaded = load_scenario(positional[0], settings_of(given), traces);
  RunRecord record;
  std::vector<Progress> progress(1);
  Results results;
  {
    const ProgressBar bar(progress);
    results = run_scenario(loaded, {&interrupted, &progress[0], given.count("out") > 0 ? &record : nullptr});
  }
  if (given.count("out") > 0) write_result_files(given["out"].as<std::string>(), loaded.scenario, results, record);
  fmt::print("{}", json ? json_text(results) : text_summary(results));
  if (given.count("stats") > 0)
    print_stats(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), results.events);
  return results.complete ? kOk : kInterrupted;
}

}  // namespace

const Command kRunCommand = {
    "run",
    "SCENARIO",
    "Run a scenario and say where the time goes",
    "  moesim run docs/scenarios/quickstart-prefill.json\n"
    "  moesim run docs/scenarios/quickstart-decode.json --set /placement=greedy --out out/greedy\n"
    "  moesim run docs/scenarios/deepseek-v3-decode.json --set /network=ideal --format json\n",
    options,
    1,
    1,
    run};

}  // namespace moesim
