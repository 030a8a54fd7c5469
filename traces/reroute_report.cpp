#include <fmt/core.h>

#include "traces/reroute.h"

namespace moesim {
namespace {

template <class Enum>
std::string name_in_table(Enum value) {
  for (const auto& [candidate, name] : enum_names(value))
    if (candidate == value) return name;
  return "";
}

double a_row(int64_t count, const RerouteCounts& counts) {
  return counts.rows == 0 ? 0 : double(count) / double(counts.rows);
}

}  // namespace

std::string about_rerouting(const Rerouting& options) {
  std::string text = "rerouted: " + name_in_table(options.selection);
  const auto add = [&](const char* name, auto value) {
    if (value > 0) text += fmt::format(", {} {}", name, value);
  };
  add("top_k", options.top_k);
  if (options.selection == Selection::top_p) add("p", options.p);
  if (options.selection == Selection::grouped || options.selection == Selection::group_limited)
    add("groups", options.groups);
  if (options.selection == Selection::group_limited) add("top_groups", options.top_groups);
  add("zero_experts", options.zero_experts);
  add("copy_experts", options.copy_experts);
  add("constant_experts", options.constant_experts);
  add("true_experts", options.true_experts);
  add("capacity_factor", options.capacity_factor);
  add("shared_experts", options.shared_experts);
  add("noise", options.noise);
  if (options.scores == ScoreSource::synthetic) text += "; scores that were not recorded are made up";
  return text;
}

std::string text_of_counts(const RerouteCounts& counts) {
  std::string text = fmt::format("{} tokens, {} rows of a token and layer\n", counts.tokens, counts.rows);
  const auto line = [&](const char* what, int64_t count) {
    if (count > 0) text += fmt::format("  {:<28}{:>14}{:>10.4f} a row\n", what, count, a_row(count, counts));
  };
  line("choices", counts.selected);
  line("computed by routed experts", counts.computed);
  line("given to zero experts", counts.zero);
  line("given to copy experts", counts.copied);
  line("given to constant experts", counts.constant);
  line("dropped for want of room", counts.dropped);
  line("computed by shared experts", counts.shared);
  line("rows without routed expert", counts.unrouted_rows);
  line("rows of which all was dropped", counts.lost_rows);
  line("rows that do not reach p", counts.undecided_rows);
  text += fmt::format("  routed experts of a row: {} to {}\n", counts.experts_per_row_min, counts.experts_per_row_max);
  text += fmt::format("  saved work: {:.2f} % of {} expert rows\n", 100 * counts.saved_work, counts.baseline);
  text += fmt::format("  hottest expert over mean {:.3f}", counts.hottest_over_mean);
  if (counts.group_imbalance)
    text += fmt::format("; fullest less emptiest group {:.4f} of a batch's tokens", *counts.group_imbalance);
  text += "\n";
  return text;
}

}  // namespace moesim
