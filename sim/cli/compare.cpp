#include "sim/run/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "sim/cli/command.h"
#include "sim/cli/progress_bar.h"
#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "sim/run/result_files.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

struct ComparedVariant {
  std::vector<std::string> settings;
  Results results;
};

template <class Visitor>
void fields(Visitor& v, ComparedVariant& s) {
  v.required("settings", s.settings, "what it changes, as --set takes it");
  v.required("results", s.results, "as in results.json");
}

struct Comparison {
  int32_t format_version = 1;
  std::vector<ComparedVariant> variants;
};

template <class Visitor>
void fields(Visitor& v, Comparison& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.required("variants", s.variants, "each variant, in the order of the flags");
}

po::options_description options() {
  po::options_description options("options");
  options.add_options()("vary", po::value<std::vector<std::string>>(),
                        "/pointer=a,b,c: run each value; several --vary multiply; values may be JSON")(
      "out", po::value<std::string>(),
      "folder for comparison.json, pictures of the differences (SVG) and a folder a variant")(
      "set", po::value<std::vector<std::string>>(), "/pointer=value: change a setting of the file; may be repeated")(
      "seed", po::value<std::string>(), "seed of all random choices")(
      "threads", po::value<int>()->default_value(0), "variants to run at once; 0: as many as there are cores")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json")(
      "stats", "print host time and memory on stderr");
  return options;
}

std::vector<LoadedScenario> load_variants(const std::string& file, const std::vector<std::string>& settings,
                                          const std::vector<Variant>& variants, TraceStore& traces) {
  std::vector<LoadedScenario> scenarios;
  for (const Variant& variant : variants) {
    std::vector<std::string> all = settings;
    all.insert(all.end(), variant.settings.begin(), variant.settings.end());
    scenarios.push_back(load_scenario(file, all, traces));
    check_scenario(scenarios.back());
  }
  return scenarios;
}

std::string comparison_json(const std::vector<Variant>& variants, const std::vector<Results>& results) {
  Comparison comparison;
  for (size_t v = 0; v < variants.size(); ++v) comparison.variants.push_back({variants[v].settings, results[v]});
  return json_text(comparison);
}

int threads_of(const po::variables_map& given, size_t variants) {
  const int asked = given["threads"].as<int>();
  if (asked < 0 || asked > 1024)
    throw ConfigError("--threads", fmt::format("must be between 0 and 1024, but is {}", asked));
  const int threads = asked > 0 ? asked : std::max(1, int(std::thread::hardware_concurrency()));
  return std::min(threads, int(variants));
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<Variant> variants = variants_of(values_of(given, "vary"));
  TraceStore traces;
  const int threads = threads_of(given, variants.size());
  const std::vector<LoadedScenario> scenarios = load_variants(positional[0], settings_of(given), variants, traces);
  std::vector<Progress> progress(variants.size());
  std::vector<RunRecord> records(variants.size());
  std::vector<Results> results;
  {
    const ProgressBar bar(progress);
    results = run_variants(scenarios, {&interrupted, &progress, threads, given.count("out") > 0 ? &records : nullptr});
  }
  std::vector<std::string> labels;
  for (const Variant& variant : variants) labels.push_back(variant.label.empty() ? "as it is" : variant.label);
  const std::string comparison = comparison_json(variants, results);
  if (given.count("out") > 0) {
    const std::filesystem::path folder = given["out"].as<std::string>();
    for (size_t v = 0; v < variants.size(); ++v)
      write_result_files(folder / fmt::format("variant-{}", v), scenarios[v].scenario, results[v], records[v]);
    write_compare_pictures(folder, records, labels);
    write_file_atomically(folder / "comparison.json", comparison);
  }
  fmt::print("{}", json ? comparison : comparison_text(labels, results));
  int64_t events = 0;
  for (const Results& each : results) events += each.events;
  if (given.count("stats") > 0)
    print_stats(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), events);
  return std::all_of(results.begin(), results.end(), [](const Results& each) { return each.complete; }) ? kOk
                                                                                                        : kInterrupted;
}

}  // namespace

const Command kCompareCommand = {
    "compare",
    "SCENARIO",
    "Run variants of a scenario side by side, with the difference to the first",
    "  moesim compare docs/scenarios/quickstart-prefill.json --vary /placement=contiguous,round_robin,random,greedy\n"
    "  moesim compare docs/scenarios/quickstart-prefill.json --vary "
    "'/schedule=\"sequential\",{\"policy\":\"chunked\",\"chunks\":4}' "
    "--vary /network=flow,ideal\n",
    options,
    1,
    1,
    run};

}  // namespace moesim
