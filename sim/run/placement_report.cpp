#include "sim/run/placement_report.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>
#include <numeric>
#include <tuple>

#include "sim/core/check.h"
#include "sim/run/link_use.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

using Loads = std::vector<std::vector<int64_t>>;  // [layer][expert]

constexpr int32_t kPairsShown = 16;

double mean_of(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

// What the simulated steps route, all together.
Loads judged_loads(const PlacementSetting& setting, int32_t steps) {
  Loads loads(size_t(setting.input.layers), std::vector<int64_t>(size_t(setting.input.experts), 0));
  for (int32_t step = 0; step < steps; ++step) {
    const StepRouting routing = route_step(setting.routing, setting.batch, setting.cluster.layout, step);
    for (int32_t layer = 0; layer < routing.layers; ++layer)
      for (int64_t token = 0; token < routing.tokens; ++token)
        for (const uint16_t expert : routing.choices(layer, token))
          if (expert != kNoExpert) ++loads[size_t(layer)][expert];
  }
  return loads;
}

std::vector<double> trained_ratios(const PlacementSetting& setting, const Placement& placement) {
  const std::vector<int32_t> slots = slots_of_gpus(setting.input);
  const SlotMap map = slot_map(placement, slots);
  std::vector<double> ratios;
  for (size_t layer = 0; layer < map.size(); ++layer)
    ratios.push_back(max_over_mean(gpu_loads(map[layer], slots, setting.input.past_load[layer])));
  return ratios;
}

JudgedPlacement judged(const PlacementSetting& setting, const PlacementTrial& trial) {
  JudgedPlacement result;
  result.policy = trial.policy;
  result.trained_max_over_mean = trained_ratios(setting, trial.placement);
  const double copy_bytes = setting.input.costs.dispatch_bytes + setting.input.costs.combine_bytes;
  for (const LayerResult& layer : trial.results.layers) {
    if (!is_moe_layer(trial.scenario.model, layer.layer)) continue;
    result.load_max_over_mean.push_back(layer.gpu_load_max_over_mean);
    result.cross_gpu_bytes_per_token += layer.copies_per_token * layer.remote_fraction * copy_bytes;
    result.cross_node_bytes_per_token += layer.copies_per_token * layer.cross_node_fraction * copy_bytes;
  }
  result.trained_mean = mean_of(result.trained_max_over_mean);
  result.load_mean = mean_of(result.load_max_over_mean);
  result.step_time_s = trial.results.step_time_s;
  result.tokens_per_s = trial.results.tokens_per_s;
  result.bound_by = trial.results.bounds.holds;
  result.proof = proof_of(trial.placement);
  return result;
}

std::vector<double> relaxed(const PlacementSetting& setting, const Loads& loads) {
  const std::vector<int32_t> slots = slots_of_gpus(setting.input);
  const int64_t in_all = std::accumulate(slots.begin(), slots.end(), int64_t{0});
  std::vector<double> ratios;
  for (const std::vector<int64_t>& load : loads)
    ratios.push_back(relaxed_max_over_mean(load, setting.input.gpus, in_all));
  return ratios;
}

// The step of a placement if its fullest GPU of each layer had the bound's load: an estimate, as what else would change
// is not simulated.
double step_at_bound(const PlacementSetting& setting, const Loads& loads, size_t steps, const JudgedPlacement& from,
                     const PlacementBound& bound) {
  const std::vector<double>& token_s = setting.input.costs.token_s;
  const double slowest_s = token_s.empty() ? 0 : *std::max_element(token_s.begin(), token_s.end());
  double saved = 0;
  for (size_t layer = 0; layer < loads.size(); ++layer) {
    const int64_t rows = std::accumulate(loads[layer].begin(), loads[layer].end(), int64_t{0});
    const double mean_rows = double(rows) / double(steps) / setting.cluster.layout.gpus;
    const double above = from.load_max_over_mean[layer] - bound.load_max_over_mean[layer];
    saved += std::max(0.0, above) * mean_rows * slowest_s;
  }
  return std::max(0.0, from.step_time_s - saved);
}

// The best over all placements that were tried, so that none of them beats the bound.
void add_bounds(const PlacementSetting& setting, const Results& results, PlacementReport& report) {
  const Loads loads = judged_loads(setting, int32_t(results.steps.size()));
  const std::vector<double> ones(loads.size(), 1.0);
  report.bounds.push_back({"balanced", ones, ones, 1, 1, 0, 0});
  report.bounds.push_back({"relaxed", relaxed(setting, setting.input.past_load), relaxed(setting, loads), 0, 0, 0, 0});
  for (PlacementBound& bound : report.bounds) {
    bound.trained_mean = mean_of(bound.trained_max_over_mean);
    bound.load_mean = mean_of(bound.load_max_over_mean);
    bound.step_time_s = report.policies[0].step_time_s;
    for (const JudgedPlacement& one : report.policies)
      bound.step_time_s = std::min(bound.step_time_s, step_at_bound(setting, loads, results.steps.size(), one, bound));
    if (bound.step_time_s > 0) bound.tokens_per_s = double(results.tokens_per_step) / bound.step_time_s;
  }
}

void add_pairs(const RunRecord& record, PlacementReport& report) {
  const size_t cells = size_t(record.pairs.cells);
  for (size_t from = 0; from < cells; ++from) {
    report.gpu_pair_names.push_back(cell_name(record, int32_t(from)));
    const auto row = record.pairs.bytes.begin() + ptrdiff_t(from * cells);
    report.gpu_pairs.emplace_back(row, row + ptrdiff_t(cells));
  }
}

void append_row(std::string& out, const std::string& name, double trained, double load, const std::string& bytes,
                double step_time_s, double tokens_per_s, const std::string& mark) {
  if (step_time_s <= 0) {  // stopped before it was judged
    fmt::format_to(std::back_inserter(out), "{:<24}{:>9.4f}{:>9}\n", name, trained, "-");
    return;
  }
  fmt::format_to(std::back_inserter(out), "{:<24}{:>9.4f}{:>9.4f}{}{:>12}{:>16}{}\n", name, trained, load, bytes,
                 with_prefix(step_time_s, "s"), with_prefix(tokens_per_s, "tok/s"), mark);
}

void append_table(std::string& out, const PlacementReport& report) {
  fmt::format_to(std::back_inserter(out), "\n{:<24}{:>18}{:>24}\n{:<24}{:>9}{:>9}{:>12}{:>12}{:>12}{:>16}\n", "",
                 "load max/mean", "bytes a token", "policy", "trained", "judged", "GPUs", "servers", "step",
                 "tokens/s");
  for (const JudgedPlacement& one : report.policies) {
    const double first = report.policies[0].step_time_s;
    const std::string mark = &one == report.policies.data() || first <= 0
                                 ? ""
                                 : fmt::format("{:>+9.1f}%", 100 * (one.step_time_s / first - 1));
    append_row(out, one.policy, one.trained_mean, one.load_mean,
               fmt::format("{:>12}{:>12}", with_prefix(one.cross_gpu_bytes_per_token, "B"),
                           with_prefix(one.cross_node_bytes_per_token, "B")),
               one.step_time_s, one.tokens_per_s, mark);
  }
  for (const PlacementBound& bound : report.bounds)
    append_row(out, "bound: " + bound.name, bound.trained_mean, bound.load_mean, fmt::format("{:>24}", ""),
               bound.step_time_s, bound.tokens_per_s, "  estimate");
}

void append_layers(std::string& out, const PlacementReport& report) {
  out += "\njudged load max/mean\nlayer";
  for (const JudgedPlacement& one : report.policies)
    fmt::format_to(std::back_inserter(out), "{:>14}", one.policy.substr(0, 12));
  for (const PlacementBound& bound : report.bounds) fmt::format_to(std::back_inserter(out), "{:>14}", bound.name);
  out += '\n';
  for (size_t layer = 0; layer < report.bounds[0].load_max_over_mean.size(); ++layer) {
    fmt::format_to(std::back_inserter(out), "{:<5}", layer);
    for (const JudgedPlacement& one : report.policies)
      fmt::format_to(std::back_inserter(out), "{:>14.4f}", one.load_max_over_mean[layer]);
    for (const PlacementBound& bound : report.bounds)
      fmt::format_to(std::back_inserter(out), "{:>14.4f}", bound.load_max_over_mean[layer]);
    out += '\n';
  }
}

void append_pairs(std::string& out, const PlacementReport& report) {
  const size_t cells = report.gpu_pairs.size();
  if (cells == 0) return;
  if (cells > size_t(kPairsShown)) {
    fmt::format_to(std::back_inserter(out), "\nGPU pairs    {0} x {0}; in the JSON, and in the files of a folder\n",
                   cells);
    return;
  }
  fmt::format_to(std::back_inserter(out), "\nMB sent by {}, row to column\n{:<14}", report.policies[0].policy, "");
  for (size_t to = 0; to < cells; ++to) fmt::format_to(std::back_inserter(out), "{:>9}", to);
  out += '\n';
  for (size_t from = 0; from < cells; ++from) {
    fmt::format_to(std::back_inserter(out), "{:>2} {:<11}", from, report.gpu_pair_names[from]);
    for (const int64_t bytes : report.gpu_pairs[from])
      fmt::format_to(std::back_inserter(out), "{:>9.2f}", double(bytes) * 1e-6);
    out += '\n';
  }
}

std::string training_text(const PlacementTraining& part) {
  if (part.tokens == 0) return part.source;
  return fmt::format("tokens {} to {} of {}", part.first_token, part.first_token + part.tokens - 1, part.source);
}

}  // namespace

PlacementSetting placement_setting(const LoadedScenario& loaded) {
  PlacementSetting setting;
  setting.cluster = build_cluster(loaded);
  setting.batch = batch_of(loaded.scenario, setting.cluster.layout);
  setting.routing = routing_of(loaded, setting.cluster.layout, setting.batch);
  setting.input = placement_input(loaded, setting.cluster, setting.routing, PlacementNeeds::pairs);
  setting.training.source = loaded.trace == nullptr ? "the drawn routing" : loaded.scenario.routing.trace;
  setting.training.tokens = setting.routing.train_tokens;
  return setting;
}

PlacementReport placement_report(const PlacementSetting& setting, const std::vector<PlacementTrial>& trials) {
  CHECK(!trials.empty());
  const PlacementTrial& first = trials[0];
  PlacementReport report;
  report.scenario = first.results.scenario;
  report.model = first.scenario.model.name;
  report.layers = setting.input.layers;
  report.experts = setting.input.experts;
  report.gpus = setting.input.gpus;
  report.slots = slots_of_gpus(setting.input);
  report.trained_on = setting.training;
  std::tie(report.judged_on.first_token, report.judged_on.tokens) = judged_part(setting.routing);
  report.judged_on.source =
      first.scenario.trace == nullptr ? "the drawn routing" : first.scenario.scenario.routing.trace;
  report.judged_apart = setting.training.source == report.judged_on.source;
  report.steps = int32_t(first.results.steps.size());
  report.tokens_per_step = first.results.tokens_per_step;
  report.complete = true;
  for (const PlacementTrial& trial : trials) {
    report.complete = report.complete && trial.results.complete && !trial.results.steps.empty();
    report.policies.push_back(judged(setting, trial));
  }
  report.notes = first.results.notes;
  if (setting.training.tokens == 0 && report.judged_apart)
    report.notes.push_back("/routing/train_fraction leaves no tokens to train on: policies know nothing");
  if (!report.complete) return report;
  add_bounds(setting, first.results, report);
  if (first.record.pairs.cells > 0) add_pairs(first.record, report);
  return report;
}

std::string placement_report_text(const PlacementReport& report) {
  std::string out;
  const auto line = [&](const char* name, const std::string& text) {
    fmt::format_to(std::back_inserter(out), "{:<13}{}\n", name, text);
  };
  line("scenario", report.scenario + (report.complete ? "" : "   INCOMPLETE: it was stopped"));
  line("placement",
       fmt::format("{}: {} MoE layers of {} experts on {} GPUs, {} slots a layer", report.model, report.layers,
                   report.experts, report.gpus, std::accumulate(report.slots.begin(), report.slots.end(), int64_t{0})));
  line("trained on", training_text(report.trained_on));
  line("judged on", fmt::format("{} step{} of {} tokens, out of ", report.steps, report.steps == 1 ? "" : "s",
                                report.tokens_per_step) +
                        training_text(report.judged_on) +
                        (report.judged_apart ? ": no token is in both parts"
                                             : ": whether the counts saw some of these tokens is not known"));
  append_table(out, report);
  for (const JudgedPlacement& one : report.policies) {
    if (!one.proof) continue;
    fmt::format_to(std::back_inserter(out), "{}: {} found {:.6g}, bound {:.6g}, gap {:.2f}%{}\n", one.policy,
                   one.proof->solver, one.proof->objective, one.proof->bound, 100 * one.proof->gap,
                   one.proof->wall_limited ? ", ended by a limit in wall time" : "");
    for (const std::string& warning : one.proof->warnings) line("warning", warning);
  }
  if (!report.complete) return out;
  append_layers(out, report);
  append_pairs(out, report);
  for (const std::string& note : report.notes) line("note", note);
  return out;
}

std::string placement_layers_csv(const PlacementReport& report) {
  std::string csv = "layer,policy,trained_max_over_mean,load_max_over_mean\n";
  const auto add = [&](const std::string& name, const std::vector<double>& trained, const std::vector<double>& load) {
    for (size_t layer = 0; layer < load.size(); ++layer)
      fmt::format_to(std::back_inserter(csv), "{},{},{},{}\n", layer, csv_text(name), trained[layer], load[layer]);
  };
  for (const JudgedPlacement& one : report.policies) add(one.policy, one.trained_max_over_mean, one.load_max_over_mean);
  for (const PlacementBound& one : report.bounds)
    add("bound: " + one.name, one.trained_max_over_mean, one.load_max_over_mean);
  return csv;
}

PlacementFile placement_file(const PlacementSetting& setting, const PlacementTrial& trial) {
  PlacementFile file;
  file.model = trial.scenario.model.name;
  file.model_layers = trial.scenario.model.layers;
  for (int32_t layer = 0; layer < file.model_layers; ++layer)
    if (is_moe_layer(trial.scenario.model, layer)) file.layer_numbers.push_back(layer);
  file.layers = setting.input.layers;
  file.experts = setting.input.experts;
  file.gpus = setting.input.gpus;
  file.slots = slots_of_gpus(setting.input);
  file.policy = trial.policy;
  file.trained_on = setting.training;
  file.physical_to_logical = slot_map(trial.placement, file.slots);
  return file;
}

}  // namespace moesim
