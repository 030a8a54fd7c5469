#include "sim/run/text_summary.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>

#include "sim/run/model_error.h"
#include "sim/run/offload_text.h"

namespace moesim {
namespace {

constexpr size_t kBusiestLinks = 5;
constexpr int kBarWidth = 30;

std::string seconds(double s) { return with_prefix(s, "s"); }
double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

std::string bar(double fraction) {
  const int full = std::clamp(int(std::lround(fraction * kBarWidth)), 0, kBarWidth);
  return std::string(size_t(full), '#') + std::string(size_t(kBarWidth - full), ' ');
}

void append_breakdown(std::string& out, const Results& results) {
  fmt::format_to(std::back_inserter(out), "\n{:<12}{:>12}{:>8}  {:<{}}{:>12}\n", "operation", "exposed", "of step", "",
                 kBarWidth, "hidden");
  for (const OperationResult& operation : results.breakdown)
    fmt::format_to(std::back_inserter(out), "{:<12}{:>12}{:>7.1f}%  {}{:>12}\n", operation.operation,
                   seconds(operation.exposed_s), percent(operation.exposed_s, results.step_time_s),
                   bar(operation.exposed_s / results.step_time_s),
                   operation.hidden_s > 0 ? seconds(operation.hidden_s) : "-");
  fmt::format_to(std::back_inserter(out), "{:<12}{:>12}{:>7.1f}%  {}\n", "idle", seconds(results.idle_s),
                 percent(results.idle_s, results.step_time_s), bar(results.idle_s / results.step_time_s));
}

void append_links(std::string& out, const Results& results) {
  if (results.links.empty()) return;
  fmt::format_to(std::back_inserter(out), "\nbusiest links{:>51}{:>12}\n", "use", "carried");
  for (size_t l = 0; l < std::min(kBusiestLinks, results.links.size()); ++l) {
    const LinkResult& link = results.links[l];
    fmt::format_to(std::back_inserter(out), "  {:<8}{:<48}{:>5.1f}%{:>12}\n", link.kind, link.link,
                   100 * link.utilisation, with_prefix(double(link.bytes), "B"));
  }
}

void append_memory(std::string& out, const Results& results) {
  const auto fullest = std::max_element(results.gpu_list.begin(), results.gpu_list.end(),
                                        [](const auto& a, const auto& b) { return a.memory.total < b.memory.total; });
  if (fullest == results.gpu_list.end()) return;
  const MemoryResult& memory = fullest->memory;
  const auto bytes = [](int64_t count) { return with_prefix(double(count), "B"); };
  fmt::format_to(
      std::back_inserter(out),
      "\nmemory       {} of {} usable a GPU: experts {}, attention {}, other weights {}, KV cache {}, activations {}\n",
      bytes(memory.total), bytes(memory.capacity), bytes(memory.weights_experts), bytes(memory.weights_attention),
      bytes(memory.weights_other), bytes(memory.kv_cache), bytes(memory.activations));
}

void append_rebalancing(std::string& out, const RebalancingResult& rebalancing) {
  const auto bytes = with_prefix(double(rebalancing.bytes), "B");
  fmt::format_to(std::back_inserter(out), "{:<13}{} time{}, {} of weights moved, {} stalled\n", "rebalanced",
                 rebalancing.rebalances.size(), rebalancing.rebalances.size() == 1 ? "" : "s", bytes,
                 seconds(rebalancing.stalled_s));
  if (rebalancing.ages.empty()) return;
  const AgeResult& fresh = rebalancing.ages.front();
  const AgeResult& stale = rebalancing.ages.back();
  fmt::format_to(std::back_inserter(out),
                 "{:<13}GPU load max/mean {:.3f} where the placement is {} steps old, {:.3f} where it is {}\n",
                 "staleness", fresh.gpu_load_max_over_mean, fresh.age, stale.gpu_load_max_over_mean, stale.age);
}

void append_rerouting(std::string& out, const RerouteCounts& counts) {
  const double rows = double(counts.rows);
  const double idle = double(counts.zero + counts.copied + counts.constant);
  fmt::format_to(std::back_inserter(out),
                 "{:<13}{:.3f} experts compute a token in a layer; {:.3f} choices dropped, {:.3f} compute nothing; "
                 "{:.1f}% of expert rows saved\n",
                 "rerouted", double(counts.computed) / rows, double(counts.dropped) / rows, idle / rows,
                 100 * counts.saved_work);
}

void append_speculation(std::string& out, const SpeculationResult& speculation) {
  const double saved = double(speculation.bytes_saved);
  fmt::format_to(std::back_inserter(out),
                 "{:<13}{} by {}: {:.1f}% of choices local, {:.1f}% without; tokens max/mean {:.3f}\n", "speculation",
                 speculation.shuffle, speculation.prediction, 100 * speculation.local_activation_rate,
                 100 * speculation.unshuffled_local_activation_rate, speculation.token_max_over_mean);
  if (speculation.expert_accuracy && speculation.gpu_accuracy)
    fmt::format_to(std::back_inserter(out),
                   "{:<13}{:.1f}% of experts and {:.1f}% of GPUs right; tables of {}, {} a step\n", "prediction",
                   100 * *speculation.expert_accuracy, 100 * *speculation.gpu_accuracy,
                   with_prefix(double(speculation.table_bytes), "B"), seconds(speculation.predict_s));
  if (speculation.batching != "in_order")
    fmt::format_to(std::back_inserter(out), "{:<13}{}: {:.2f} experts of a layer are active in a step\n", "batching",
                   speculation.batching, speculation.active_experts);
  fmt::format_to(std::back_inserter(out), "{:<13}{} of payload and {} a step against no speculation\n", "saved",
                 with_prefix(saved, "B"), seconds(speculation.time_saved_s));
}

void append_pipeline(std::string& out, const PipelineResult& pipeline) {
  const auto bytes = [](int64_t count) { return with_prefix(double(count), "B"); };
  fmt::format_to(std::back_inserter(out), "{:<13}{}, {} micro-batch{}, attention on the {}; {} in the host's memory\n",
                 "pipeline", pipeline.order, pipeline.micro_batches, pipeline.micro_batches == 1 ? "" : "es",
                 pipeline.attention == "cpu" ? "CPU" : "GPU", bytes(pipeline.host_bytes));
  fmt::format_to(std::back_inserter(out), "{:<13}GPU {}, bus to the GPU {}, bus to the host {}, CPU {}; most: {}\n",
                 "a step needs", seconds(pipeline.gpu_s), seconds(pipeline.bus_in_s), seconds(pipeline.bus_out_s),
                 seconds(pipeline.cpu_s), pipeline.busiest);
  fmt::format_to(std::back_inserter(out),
                 "{:<13}weights {}, keys and values {} in and {} out, activations {} in and {} out\n", "travels",
                 bytes(pipeline.weights_bytes), bytes(pipeline.cache_in_bytes), bytes(pipeline.cache_out_bytes),
                 bytes(pipeline.activations_in_bytes), bytes(pipeline.activations_out_bytes));
}

double operation_s(const Results& results, const char* name) {
  for (const OperationResult& operation : results.breakdown)
    if (operation.operation == name) return operation.exposed_s;
  return 0;
}

// A row of a comparison: how it is called, its value, how the value is written, and whether more is better.
struct ComparedQuantity {
  const char* name;
  std::function<double(const Results&)> value;
  std::function<std::string(double)> text;
};

std::vector<ComparedQuantity> compared_quantities() {
  const auto number = [](double value) { return fmt::format("{:.3f}", value); };
  const auto rate = [](double value) { return with_prefix(value, "tok/s"); };
  std::vector<ComparedQuantity> rows = {
      {"step time", [](const Results& r) { return r.step_time_s; }, seconds},
      {"tokens/s", [](const Results& r) { return r.tokens_per_s; }, rate},
  };
  for (const char* name : {"attention", "tp", "gate", "dispatch", "experts", "shared", "dense", "combine", "unpermute",
                           "lm_head", "predict", "coherence", "copy", "cpu_attention"})
    rows.push_back({name, [name](const Results& r) { return operation_s(r, name); }, seconds});
  rows.push_back({"idle", [](const Results& r) { return r.idle_s; }, seconds});
  rows.push_back({"GPU load max/mean", [](const Results& r) { return r.gpu_load_max_over_mean; }, number});
  rows.push_back({"bytes sent", [](const Results& r) { return double(r.bytes_sent); },
                  [](double value) { return with_prefix(value, "B"); }});
  rows.push_back({"weights moved", [](const Results& r) { return r.rebalancing ? double(r.rebalancing->bytes) : 0; },
                  [](double value) { return with_prefix(value, "B"); }});
  rows.push_back({"local choices",
                  [](const Results& r) { return r.speculation ? r.speculation->local_activation_rate : 0; },
                  [](double value) { return fmt::format("{:.2f}%", 100 * value); }});
  rows.push_back({"active experts", [](const Results& r) { return r.speculation ? r.speculation->active_experts : 0; },
                  [](double value) { return fmt::format("{:.2f}", value); }});
  rows.push_back({"experts hit", [](const Results& r) { return r.offload ? r.offload->hit_rate : 0; },
                  [](double value) { return fmt::format("{:.2f}%", 100 * value); }});
  rows.push_back(
      {"experts copied",
       [](const Results& r) { return r.offload ? double(r.offload->demand_bytes + r.offload->prefetch_bytes) : 0; },
       [](double value) { return with_prefix(value, "B"); }});
  rows.push_back({"wait for copies",
                  [](const Results& r) { return r.offload ? r.offload->stalls.copy_s + r.offload->stalls.late_s : 0; },
                  seconds});
  rows.push_back(
      {"wait for the CPU", [](const Results& r) { return r.offload ? r.offload->stalls.cpu_s : 0; }, seconds});
  rows.push_back({"stalled", [](const Results& r) { return r.rebalancing ? r.rebalancing->stalled_s : 0; }, seconds});
  rows.push_back({"busiest link use",
                  [](const Results& r) { return r.links.empty() ? 0 : r.links.front().utilisation; },
                  [](double value) { return fmt::format("{:.1f}%", 100 * value); }});
  return rows;
}

// Which variants differ from the first by less than the profile is known to be off.
std::string model_error_row(const std::vector<Results>& results) {
  std::string within;
  for (size_t v = 1; v < results.size(); ++v)
    if (is_within_model_error(results[0], results[v]))
      fmt::format_to(std::back_inserter(within), "{} {}", within.empty() ? "" : ",", v + 1);
  if (within.empty()) return "";
  return "within model error of the first variant (step time):" + within + "\n";
}

}  // namespace

std::string with_prefix(double value, const char* unit) {
  constexpr std::array<const char*, 9> prefixes = {"p", "n", "u", "m", "", "k", "M", "G", "T"};
  if (value == 0) return fmt::format("0 {}", unit);
  size_t prefix = 4;
  while (std::abs(value) >= 999.95 && prefix + 1 < prefixes.size()) value /= 1000, ++prefix;
  while (std::abs(value) < 1 && prefix > 0) value *= 1000, --prefix;
  const int decimals = std::abs(value) >= 100 ? 1 : std::abs(value) >= 10 ? 2 : 3;
  return fmt::format("{:.{}f} {}{}", value, decimals, prefixes[prefix], unit);
}

std::string text_summary(const Results& results) {
  std::string out;
  const auto line = [&](const char* name, const std::string& text) {
    fmt::format_to(std::back_inserter(out), "{:<13}{}\n", name, text);
  };
  line("scenario", results.scenario +
                       (results.complete ? "" : "   INCOMPLETE: it was stopped; these are the steps that were done"));
  if (results.steps.empty()) return out + "no step was finished\n";
  line("step time", fmt::format("{} mean of {} step{} ({} to {})", seconds(results.step_time_s), results.steps.size(),
                                results.steps.size() == 1 ? "" : "s", seconds(results.step_time_min_s),
                                seconds(results.step_time_max_s)));
  if (results.model_error)
    line("model error",
         fmt::format("+-{:.1f}%: {} to {}, 90% of held-out measurements within; covers {:.0f}% of the step",
                     100 * results.model_error->fraction, seconds(results.model_error->low_s),
                     seconds(results.model_error->high_s), 100 * results.model_error->covers));
  line("throughput", fmt::format("{} on {} GPUs, {} a GPU", with_prefix(results.tokens_per_s, "tok/s"), results.gpus,
                                 with_prefix(results.tokens_per_s / results.gpus, "tok/s")));
  line("GPU load", fmt::format("max/mean {:.3f} of expert rows, mean over MoE layers", results.gpu_load_max_over_mean));
  if (results.rerouting) append_rerouting(out, *results.rerouting);
  if (results.rebalancing) append_rebalancing(out, *results.rebalancing);
  if (results.speculation) append_speculation(out, *results.speculation);
  if (results.offload) out += offload_text(*results.offload);
  if (results.pipeline) append_pipeline(out, *results.pipeline);
  append_breakdown(out, results);
  append_links(out, results);
  append_memory(out, results);
  const BoundResult& bounds = results.bounds;
  fmt::format_to(std::back_inserter(out),
                 "bounds       {:.1f}% critical path, {:.1f}% compute ({}), {:.1f}% link ({})\n",
                 percent(bounds.critical_path_s, results.step_time_s), percent(bounds.compute_s, results.step_time_s),
                 bounds.compute_where, percent(bounds.link_s, results.step_time_s), bounds.link_where);
  line("bound by", bounds.holds);
  line("network", fmt::format("{}, {} flows, {} events", results.network, results.flows, results.events));
  line("times from", results.time_source);
  for (const std::string& note : results.notes) line("note", note);
  line("digest", results.digest);
  return out;
}

std::string comparison_text(const std::vector<std::string>& labels, const std::vector<Results>& results) {
  std::string out = fmt::format("{:<19}", "");
  std::vector<size_t> widths;
  for (const std::string& label : labels) {
    widths.push_back(std::max<size_t>(22, label.size() + 10));
    fmt::format_to(std::back_inserter(out), "{:>{}}", fmt::format("{}{:>8}", label, ""), widths.back());
  }
  out += '\n';
  for (const ComparedQuantity& row : compared_quantities()) {
    const double first = row.value(results.front());
    if (std::all_of(results.begin(), results.end(), [&](const Results& r) { return row.value(r) == 0; })) continue;
    fmt::format_to(std::back_inserter(out), "{:<19}", row.name);
    for (size_t v = 0; v < results.size(); ++v) {
      const double value = row.value(results[v]);
      const std::string change = v == 0 || first == 0 ? "" : fmt::format("{:+.1f}%", 100 * (value / first - 1));
      fmt::format_to(std::back_inserter(out), "{:>{}}", fmt::format("{}{:>8}", row.text(value), change), widths[v]);
    }
    out += '\n';
  }
  fmt::format_to(std::back_inserter(out), "{:<19}", "bound by");
  for (size_t v = 0; v < results.size(); ++v) {
    const std::string& holds = results[v].bounds.holds;
    fmt::format_to(std::back_inserter(out), "{:>{}}", fmt::format("{}{:>8}", holds.substr(0, holds.find(':')), ""),
                   widths[v]);
  }
  return out + '\n' + model_error_row(results);
}

}  // namespace moesim
