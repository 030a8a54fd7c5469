#include "traces/reroute.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "traces/trace_copy.h"
#include "traces/trace_input.h"

namespace moesim {
namespace {

// Ways that may choose any expert, whose score must then be known.
bool needs_all_scores(const Rerouting& options) {
  return options.noise > 0 || options.selection == Selection::grouped ||
         options.selection == Selection::group_limited || options.selection == Selection::expert_choice;
}

bool needs_scores(const Rerouting& options) {
  return needs_all_scores(options) || options.selection == Selection::top_p || idle_experts(options) > 0 ||
         (options.capacity_factor > 0 && options.drop_order == DropOrder::score);
}

void check_recorded_scores(const Rerouting& options, const TraceHead& head, int64_t top_k, std::vector<Fault>& faults) {
  if (options.scores == ScoreSource::synthetic) return;
  const RoutingTrace& about = head.about;
  const char* const remedy = "scripts/capture/train_moe.py records them, or scores \"synthetic\" makes them up";
  if (needs_scores(options) && head.gate == GateWidth::none)
    faults.push_back({0, "/scores", fmt::format("the trace has no gate scores; {}", remedy)});
  if (needs_all_scores(options) && about.top_k < about.experts)
    faults.push_back({0, "/scores",
                      fmt::format("the scores of all {} experts are needed, but the trace has those of {} a token; {}",
                                  about.experts, about.top_k, remedy)});
  else if (options.selection != Selection::top_p && top_k > about.top_k)
    faults.push_back(
        {0, "/top_k",
         fmt::format("{} scores a token are needed, but the trace has {}; {}", top_k, about.top_k, remedy)});
}

void check_counts(const Rerouting& options, int64_t top_k, int64_t experts, std::vector<Fault>& faults) {
  const auto fault = [&](const char* key, std::string message) { faults.push_back({0, key, std::move(message)}); };
  const bool grouped = options.selection == Selection::grouped;
  const bool limited = options.selection == Selection::group_limited;
  if (top_k > experts + idle_experts(options))
    fault("/top_k", fmt::format("{} choices of {} experts", top_k, experts + idle_experts(options)));
  if ((grouped || limited) && experts % options.groups != 0)
    fault("/groups", fmt::format("{} groups do not divide {} experts", options.groups, experts));
  if (grouped && top_k % options.groups != 0)
    fault("/groups", fmt::format("{} groups do not divide {} choices", options.groups, top_k));
  if (limited && top_k > experts / options.groups * options.top_groups)
    fault("/top_groups",
          fmt::format("{} of {} groups have fewer than {} experts", options.top_groups, options.groups, top_k));
  if (options.shared_experts >= top_k && options.shared_experts > 0)
    fault("/shared_experts", fmt::format("must leave some of {} choices", top_k));
  const double least = double(std::max<int64_t>(0, top_k - idle_experts(options)));
  if (options.true_experts > 0 && (options.true_experts > double(top_k) || options.true_experts < least))
    fault("/true_experts",
          fmt::format("must lie between {} and {}, since a token makes {} choices", least, top_k, top_k));
}

// Cuts the walk into batches of the same number of tokens, and the rest.
void walk_batches(const TokenWalk& walk, int64_t batch_tokens,
                  const std::function<void(const RoutingTrace& batch, int64_t first_token)>& use) {
  RoutingTrace pending;
  int64_t first_pending = 0;
  walk([&](const RoutingTrace& block, int64_t) {
    for (int64_t first = 0; first < block.tokens;) {
      const int64_t count = std::min(batch_tokens - pending.tokens, block.tokens - first);
      const RoutingTrace part = tokens_of(block, {first, count});
      if (pending.tokens == 0)
        pending = part;
      else
        append_tokens(pending, part);
      first += count;
      if (pending.tokens < batch_tokens) continue;
      use(pending, first_pending);
      first_pending += batch_tokens;
      pending.tokens = 0;
    }
  });
  if (pending.tokens > 0) use(pending, first_pending);
}

TraceHead rerouted_head(const Rerouting& options, const TraceHead& head, int64_t experts, int64_t width) {
  TraceHead next = head;
  next.about.experts = experts;
  next.about.top_k = width;
  next.about.zero_experts += idle_experts(options);
  next.about.recorded += fmt::format("{}{}", head.about.recorded.empty() ? "" : "; ", about_rerouting(options));
  const bool new_scores = options.noise > 0 || options.scores == ScoreSource::synthetic;
  if (head.gate != GateWidth::none && new_scores) next.gate = GateWidth::single;
  next.ids_bytes = experts < 255 ? 1 : 2;
  return next;
}

// The longest row there is, where rows differ.
int64_t longest_row(const Rerouting& options, const RoutingTrace& about, const Rerouter& learned,
                    const TokenWalk& walk) {
  if (options.selection != Selection::top_p && options.selection != Selection::expert_choice) return learned.width();
  Rerouter trial = learned;
  walk_batches(walk, options.batch_tokens,
               [&](const RoutingTrace& batch, int64_t first) { trial.route(batch, first, 1); });
  CHECK(about.layers == 0 || trial.counts().rows > 0);
  return std::max<int64_t>(1, trial.counts().experts_per_row_max);
}

}  // namespace

std::vector<Fault> check_rerouting(const Rerouting& options, const TraceHead& head) {
  std::vector<Fault> faults;
  const RoutingTrace& about = head.about;
  const bool of_top_p = options.selection == Selection::top_p;
  if (options.top_k == 0 && about.top_k == about.experts && !of_top_p)
    faults.push_back({0, "/top_k", "must be given, since the trace has the scores of all experts"});
  if (options.baseline == 0 && options.top_k == 0 && about.top_k == about.experts && of_top_p)
    faults.push_back({0, "/baseline", "must be given, since the trace has the scores of all experts"});
  const int64_t top_k = options.top_k > 0 ? options.top_k : about.top_k;
  check_counts(options, top_k, about.experts, faults);
  check_recorded_scores(options, head, top_k, faults);
  return faults;
}

RerouteCounts reroute(const Rerouting& options, const TraceHead& head, const TokenWalk& walk, uint64_t seed,
                      const ReroutedUse& use) {
  Rerouter rerouter(options, head.about, seed);
  if (rerouter.needs_load()) walk([&](const RoutingTrace& block, int64_t) { rerouter.learn_load(block); });
  if (rerouter.needs_thresholds()) {
    walk([&](const RoutingTrace& block, int64_t first) { rerouter.learn_thresholds(block, first); });
    rerouter.finish_thresholds();
  }
  const int64_t width = longest_row(options, head.about, rerouter, walk);
  use.begin(rerouted_head(options, head, rerouter.experts(), width));
  walk_batches(walk, options.batch_tokens,
               [&](const RoutingTrace& batch, int64_t first) { use.batch(rerouter.route(batch, first, width)); });
  return rerouter.counts();
}

RoutingTrace rerouted(const Rerouting& options, const RoutingTrace& trace, uint64_t seed, RerouteCounts& counts) {
  RoutingTrace out;
  const ReroutedUse use{[&](const TraceHead& head) {
                          out = head.about;
                          out.tokens = 0;
                        },
                        [&](const RoutingTrace& batch) { append_tokens(out, batch); }};
  counts = reroute(options, head_of(trace), [&](const auto& block) { block(trace, 0); }, seed, use);
  return out;
}

}  // namespace moesim
