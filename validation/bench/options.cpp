#include "validation/bench/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cmath>
#include <sstream>

namespace moesim::bench {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  const Options defaults;
  po::options_description options("Options");
  options.add_options()("help,h", "print this and exit")("list", "print the suites and what they measure, and exit")(
      "out,o", po::value<std::string>()->value_name("FILE")->default_value(defaults.out), "where the samples go")(
      "suites", po::value<std::string>()->value_name("LIST"),
      "the suites to run, with commas between; all unless said")("gpus", po::value<int>()->value_name("N"),
                                                                 "use the first N GPUs; all unless said")(
      "budget", po::value<double>()->value_name("SECONDS")->default_value(defaults.budget_s, "220"),
      "stop measuring after so long; the suites share what is left")(
      "quick", "a first look: a budget of 45 s, and checks on small shapes")(
      "check", "compare the kernels with their references and stop")("check-small",
                                                                     "the same on small shapes: for compute-sanitizer")(
      "seed", po::value<uint64_t>()->value_name("N")->default_value(defaults.seed),
      "of the inputs, and of the order of the cases");
  return options;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');)
    if (!name.empty()) names.push_back(name);
  return names;
}

std::vector<std::string> checked_suites(const std::string& list, const std::vector<std::string>& known) {
  const std::vector<std::string> suites = split(list);
  if (suites.empty()) throw ArgumentError("--suites names no suite");
  for (const std::string& suite : suites) {
    if (std::find(known.begin(), known.end(), suite) != known.end()) continue;
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    throw ArgumentError("there is no suite '" + suite + "'; there are " + all);
  }
  return suites;
}

std::string quoted(const std::string& argument) {
  const bool is_plain = !argument.empty() && argument.find_first_of(" \t\n'\"\\$&|;<>()*?#`!") == std::string::npos;
  if (is_plain) return argument;
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

po::variables_map parsed(const std::vector<std::string>& arguments) {
  po::variables_map values;
  try {
    // The empty positional description refuses stray words.
    po::store(
        po::command_line_parser(arguments).options(described()).positional(po::positional_options_description()).run(),
        values);
    po::notify(values);
  } catch (const po::error& error) {
    throw ArgumentError(error.what());
  }
  return values;
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments, const std::vector<std::string>& known) {
  const po::variables_map values = parsed(arguments);
  Options options;
  options.help = values.count("help") > 0;
  options.list = values.count("list") > 0;
  options.out = values["out"].as<std::string>();
  options.budget_s = values["budget"].as<double>();
  options.seed = values["seed"].as<uint64_t>();
  options.checks_only = values.count("check") > 0 || values.count("check-small") > 0;
  if (values.count("check-small") > 0 || values.count("quick") > 0) options.checks = Checks::small;
  if (values.count("quick") > 0 && values["budget"].defaulted()) options.budget_s = 45;
  if (values.count("suites") > 0) options.suites = checked_suites(values["suites"].as<std::string>(), known);
  if (values.count("gpus") > 0) {
    options.gpus = values["gpus"].as<int>();
    if (options.gpus < 1) throw ArgumentError("--gpus must be at least 1");
  }
  if (!(options.budget_s > 0) || !std::isfinite(options.budget_s)) throw ArgumentError("--budget must be above 0");
  if (options.out.empty()) throw ArgumentError("--out names no file");
  options.command = "moesim-bench";
  for (const std::string& argument : arguments) options.command += " " + quoted(argument);
  return options;
}

std::string help_text() {
  std::ostringstream text;
  text
      << "Usage: moesim-bench [options]\n\n"
         "Measures what moesim's cost models are fitted to, on the GPUs and the CPU of this machine: kernels, copies,\n"
         "collectives, and whole MoE layers. Every kernel is first compared with a float64 reference. Each sample is\n"
         "kept. `moesim calibrate FILE -o PROFILE` makes a device profile of the file.\n\n"
      << described()
      << "\nExamples:\n"
         "  moesim-bench --out h100.json                      everything, on all GPUs, in under four minutes\n"
         "  moesim-bench --quick                              a first look\n"
         "  moesim-bench --suites gemm,copies --gpus 1        two suites on one GPU\n"
         "  moesim-bench --suites cpu                         the CPU alone; needs no GPU\n"
         "  moesim-bench --check                              are the kernels right on this GPU?\n"
         "  compute-sanitizer moesim-bench --check-small      the same, with every access of memory watched\n\n"
         "Ctrl-C ends the measuring; what was measured is written. Exit status: 0 all went well; 1 a check or a suite\n"
         "failed; 2 wrong arguments, or no GPU; 130 stopped by Ctrl-C or SIGTERM.\n";
  return text.str();
}

}  // namespace moesim::bench
