// kTransformers' expert deferral: what is not on the GPU runs on the CPU, and the results of the lowest-ranked of these
// are added one layer later, so that the CPU works on them while the GPU goes on. This changes what the model computes,
// so it is bounded: by the deferred experts of a token, and by their part of the gate's weight. Only in steps without
// prefill, and not in the last layer, which has no later one.

#include <algorithm>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

struct DeferralOptions {
  int32_t experts = 2;
  Percentage weight = {1};
};

template <class Visitor>
void fields(Visitor& v, DeferralOptions& o) {
  v.optional("experts", o.experts, at_least(0),
             "deferred experts of a token at most; the mean, where there are several");
  v.optional("weight", o.weight, between(Percentage{0}, Percentage{1}),
             "part of the gate's weight at most that deferred experts may have");
}

// Where the gate's weights are not known, tokens stand for them.
double rank_weight(const ExpertScheduleInput& in, const PlannedExpert& planned, bool has_weights) {
  const ExpertWork& work = in.experts[size_t(planned.index)];
  return has_weights ? work.weight : double(work.tokens);
}

ExpertPlan schedule_deferral(const ExpertScheduleInput& in, const DeferralOptions& options, Rng&) {
  ExpertPlan plan = missing_beside(in);
  if (in.has_prefill || in.layer + 1 >= in.layers) return plan;
  double total = 0;
  for (const ExpertWork& work : in.experts) total += work.weight;
  const bool has_weights = total > 0;
  if (!has_weights)
    for (const ExpertWork& work : in.experts) total += double(work.tokens);

  // The CPU's experts to the end, the lightest last.
  std::sort(plan.order.begin(), plan.order.end(), [&](const PlannedExpert& a, const PlannedExpert& b) {
    if (a.place != b.place) return a.place < b.place;
    if (a.place == ExpertPlace::gpu) return is_ready_before(in, a.index, b.index);
    const double weight_a = rank_weight(in, a, has_weights);
    const double weight_b = rank_weight(in, b, has_weights);
    return weight_a != weight_b ? weight_a > weight_b : is_heavier(in, a.index, b.index);
  });
  double weight = 0;
  int64_t tokens = 0;
  for (auto planned = plan.order.rbegin(); planned != plan.order.rend(); ++planned) {
    if (planned->place == ExpertPlace::gpu) break;
    weight += rank_weight(in, *planned, has_weights);
    tokens += in.experts[size_t(planned->index)].tokens;
    if (weight > options.weight.fraction * total || tokens > options.experts * in.tokens) break;
    planned->place = ExpertPlace::deferred;
  }
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "deferral", "on the CPU what is not on the GPU, and the least important of it one layer later", schedule_deferral,
    {.copies = false, .uses_cpu = true});

}  // namespace
}  // namespace moesim
