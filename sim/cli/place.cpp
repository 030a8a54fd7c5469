#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "sim/cli/command.h"
#include "sim/cli/place_files.h"
#include "sim/cli/progress_bar.h"
#include "sim/config/json_text.h"
#include "sim/config/reader.h"
#include "sim/core/parallel.h"
#include "sim/run/compare.h"
#include "sim/run/placement_problem.h"
#include "sim/run/placement_report.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("policy", po::value<std::string>(),
                        "placement policy by name, or {\"policy\": ..., options} as in scenarios")(
      "against", po::value<std::string>(),
      "policies to compare with, as a,b,c (default: contiguous,greedy,eplb); none: nothing")(
      "output,o", po::value<std::string>(),
      "write the placement there; into a folder also the report, tables and pictures (SVG)")(
      "export", po::value<std::vector<std::string>>()->multitoken()->composing(),
      "sglang, vllm, trtllm or csv, and a FILE: write the placement as that engine loads it; may be repeated")(
      "import", po::value<std::vector<std::string>>()->multitoken()->composing(),
      "sglang, vllm, trtllm or csv, and a FILE: counts that the engine recorded to train on, or a map to judge")(
      "problem", po::value<std::string>(), "solve the bare cases of a file instead of a scenario")(
      "set", po::value<std::vector<std::string>>(), "/pointer=value: change a setting of the file; may be repeated")(
      "seed", po::value<std::string>(), "seed of all random choices")(
      "threads", po::value<int>()->default_value(0), "policies to simulate at once; 0: as many as there are cores")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json")(
      "stats", "print host time and memory on stderr");
  return options;
}

PolicyChoice<PlacementPolicy> parse_policy(const std::string& text) {
  JsonNode node;
  node.kind = JsonKind::string;
  node.text = text;
  if (!text.empty() && text[0] == '{') node = parse_json(text, "--policy");
  PolicyChoice<PlacementPolicy> choice;
  std::vector<Fault> faults;
  choice.read(node, Place{}, faults);
  throw_if_any("--policy", std::move(faults));
  return choice;
}

std::string required_policy(const po::variables_map& given) {
  if (given.count("policy") > 0) return given["policy"].as<std::string>();
  throw ConfigError("--policy", "say which policy places the experts; `moesim list placements` lists them");
}

uint64_t seed_of(const po::variables_map& given) {
  if (given.count("seed") == 0) return 1;
  const std::string text = given["seed"].as<std::string>();
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size())
    throw ConfigError("--seed", fmt::format("must be a whole number, but is {}", in_quotes(text)));
  return seed;
}

int solve_problem(const po::variables_map& given, const std::vector<std::string>& positional) {
  for (const char* const option : {"against", "export", "import", "set"})
    if (given.count(option) > 0) throw ConfigError(fmt::format("--{}", option), "is for scenarios, not for --problem");
  if (!positional.empty()) throw ConfigError("--problem", "give a problem or a scenario, not both");
  const bool json = wants_json(given);
  const std::string path = given["problem"].as<std::string>();
  const PolicyChoice<PlacementPolicy> policy = parse_policy(required_policy(given));
  const PlacementProblem problem = parse_placement_problem(read_json_file(path), path);
  const std::vector<PlacedCase> placed = solve_placement_problem(problem, policy, seed_of(given));
  const std::string answer = placement_answer_json(problem, policy, placed);
  const bool complete = !interrupted;  // else these are the best placements so far, which no file takes for the answer
  if (complete && given.count("output") > 0) write_placement_text(given["output"].as<std::string>(), answer);
  if (!complete) fmt::print(stderr, "INCOMPLETE: it was stopped; the best so far follows, and no file was written\n");
  fmt::print("{}", json ? answer : placement_answer_text(problem, placed));
  return complete ? kOk : kInterrupted;
}

// The policies to judge, the one that was asked for first.
std::vector<std::string> policies_of(const po::variables_map& given, const std::string& asked) {
  std::vector<std::string> policies = {asked};
  std::vector<std::string> others = {"contiguous", "greedy", "eplb"};
  if (given.count("against") > 0) {
    others.clear();
    const std::string text = given["against"].as<std::string>();
    if (text != "none")
      for (const Variant& variant : variants_of({"/placement=" + text})) others.push_back(variant.label);
  }
  for (const std::string& other : others) {
    const bool is_known = given.count("against") > 0 || Registry<PlacementPolicy>::instance().find(other) != nullptr;
    if (is_known && std::find(policies.begin(), policies.end(), other) == policies.end()) policies.push_back(other);
  }
  return policies;
}

// A trial of each policy, loaded and checked but not placed.
std::vector<PlacementTrial> load_trials(const std::string& file, const std::vector<std::string>& settings,
                                        const std::vector<std::string>& policies, TraceStore& traces) {
  std::vector<PlacementTrial> trials;
  for (const std::string& policy : policies) {
    parse_policy(policy);
    std::vector<std::string> all = settings;
    all.push_back("/placement=" + policy);
    PlacementTrial& trial = trials.emplace_back();
    trial.policy = policy;
    trial.scenario = load_scenario(file, all, traces);
    check_scenario(trial.scenario);
  }
  return trials;
}

int threads_of(const po::variables_map& given) {
  const int asked = given["threads"].as<int>();
  if (asked < 0 || asked > 1024)
    throw ConfigError("--threads", fmt::format("must be between 0 and 1024, but is {}", asked));
  return asked > 0 ? asked : std::max(1, int(std::thread::hardware_concurrency()));
}

// Places and simulates each; what they do is their own, so any number of threads gives the same.
void run_trials(const PlacementSetting& setting, const ImportedPlacement& imported, bool record, int threads,
                std::vector<PlacementTrial>& trials) {
  std::vector<Progress> progress(trials.size());
  const ProgressBar bar(progress);
  for_all(trials.size(), size_t(threads), [&](size_t t) {
    PlacementTrial& trial = trials[t];
    trial.placement = imported.map && t == 0 ? *imported.map : decide_placement(trial.scenario, setting.input);
    RunControl control{&interrupted, &progress[t], record || t == 0 ? &trial.record : nullptr, &trial.placement};
    trial.results = run_scenario(trial.scenario, control);
  });
}

int place_scenario(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  const int threads = threads_of(given);
  PlaceFiles files = place_files(given, positional);
  if (files.scenario.empty())
    throw ConfigError("place", "give a scenario, or the file of a bare problem with --problem");
  TraceStore traces;
  const std::vector<std::string> settings = settings_of(given);
  const LoadedScenario loaded = load_scenario(files.scenario, settings, traces);
  PlacementSetting setting = placement_setting(loaded);
  const ImportedPlacement imported = import_placement(files, loaded, setting);
  const std::string asked = imported.map && given.count("policy") == 0 ? "contiguous" : required_policy(given);
  std::vector<PlacementTrial> trials = load_trials(files.scenario, settings, policies_of(given, asked), traces);
  if (imported.map) {
    trials.insert(trials.begin(), trials[0]);  // the policies are what the map is compared with
    trials[0].policy = imported.name;
  }
  const bool to_folder = writes_folder(files);
  run_trials(setting, imported, to_folder, threads, trials);
  const PlacementReport report = placement_report(setting, trials);
  if (report.complete) write_placement_files(files, setting, trials, report);
  fmt::print("{}", json ? json_text(report) : placement_report_text(report));
  return report.complete ? kOk : kInterrupted;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const auto begin = std::chrono::steady_clock::now();
  const int code = given.count("problem") > 0 ? solve_problem(given, positional) : place_scenario(given, positional);
  if (given.count("stats") > 0)
    print_stats(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 0);
  return code;
}

}  // namespace

const Command kPlaceCommand = {
    "place",
    "SCENARIO | --problem FILE",
    "Decide which GPUs host which experts, and say what it is worth on unseen tokens",
    "  moesim place docs/scenarios/quickstart-decode.json --policy greedy -o placement.json\n"
    "  moesim place docs/scenarios/quickstart-decode.json --policy greedy --against contiguous,random --format json\n"
    "  moesim place docs/scenarios/quickstart-decode.json --policy greedy --export sglang map.json --export csv "
    "map.csv\n"
    "  moesim place docs/scenarios/quickstart-decode.json --import sglang recorded.json --policy greedy\n"
    "  moesim place --problem problem.json --policy greedy --format json\n"
    "  moesim run docs/scenarios/quickstart-decode.json --set "
    "'/placement={\"policy\": \"file\", \"path\": \"placement.json\"}'\n",
    options,
    0,
    1,
    run};

}  // namespace moesim
