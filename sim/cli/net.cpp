#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/cli/command.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "sim/config/suggest.h"
#include "sim/net/flow_file.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

struct FlowAnswer {
  int64_t id = 0;
  double finish_s = 0;
};

template <class Visitor>
void fields(Visitor& v, FlowAnswer& s) {
  v.required("id", s.id, Range<int64_t>{}, "of the flow, as in the file");
  v.required("finish_s", s.finish_s, at_least(0.0), "when its last byte arrives, s");
}

struct NetAnswer {
  double makespan_s = 0;
  std::vector<FlowAnswer> flows;
};

template <class Visitor>
void fields(Visitor& v, NetAnswer& s) {
  v.required("makespan_s", s.makespan_s, at_least(0.0), "when the last flow is done, s");
  v.required("flows", s.flows, "each flow, in the order of the file");
}

po::options_description options() {
  po::options_description options("options");
  options.add_options()("fidelity", po::value<std::string>()->default_value("flow"),
                        "flow (max-min fair), packet (queues and losses) or ideal (no contention)")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json");
  return options;
}

Fidelity fidelity_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [fidelity, known] : enum_names(Fidelity{})) {
    if (name == known) return fidelity;
    names.emplace_back(known);
  }
  throw ConfigError("--fidelity", fmt::format("unknown fidelity \"{}\"{}", name, suggestion(name, names)));
}

// The element ceil(q n) - 1 of the sorted completion times.
double quantile(std::vector<double>& sorted, double q) {
  return sorted[size_t(std::ceil(q * double(sorted.size()))) - 1];
}

void print_text(const FlowFile& file, const FlowFileAnswer& answer) {
  std::vector<double> completion;
  double worst = 0;
  for (size_t f = 0; f < answer.finish_s.size(); ++f) {
    completion.push_back(answer.finish_s[f] - file.problem.flows[f].start.seconds());
    if (file.finish_s[f]) worst = std::max(worst, std::abs(answer.finish_s[f] - *file.finish_s[f]));
  }
  std::sort(completion.begin(), completion.end());
  fmt::print("flows       {} over {} links\nmakespan    {}\n", completion.size(), file.problem.links.size(),
             with_prefix(answer.makespan_s, "s"));
  if (completion.empty()) return;
  fmt::print("completion  median {}, p99 {}, longest {}\n", with_prefix(quantile(completion, 0.5), "s"),
             with_prefix(quantile(completion, 0.99), "s"), with_prefix(completion.back(), "s"));
  if (std::any_of(file.finish_s.begin(), file.finish_s.end(), [](const auto& known) { return known.has_value(); }))
    fmt::print("known       largest difference to the finishes that the file gives: {}\n", with_prefix(worst, "s"));
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  const Fidelity fidelity = fidelity_of(given["fidelity"].as<std::string>());
  const FlowFile file = read_flow_file(std::filesystem::path(positional[0]));
  const FlowFileAnswer answer = solve_flow_file(file, fidelity);
  if (!json) {
    print_text(file, answer);
    return kOk;
  }
  NetAnswer written{answer.makespan_s, {}};
  for (size_t f = 0; f < answer.finish_s.size(); ++f) written.flows.push_back({file.flow_ids[f], answer.finish_s[f]});
  fmt::print("{}", json_text(written));
  return kOk;
}

}  // namespace

const Command kNetCommand = {"net",
                             "FILE",
                             "Solve a file of flows over links (format moe-flow-oracle-1)",
                             "  moesim net tests/golden/flows/parking_lot_3.json\n"
                             "  moesim net tests/golden/flows/ls64_a2a_2to1.json --format json\n",
                             options,
                             1,
                             1,
                             run};

}  // namespace moesim
