// Layers whose experts do not all lie in the GPU's memory, for tests of expert schedules.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/config/json.h"
#include "sim/core/random.h"
#include "sim/moe/offload/expert_schedule.h"

namespace moesim {

// A layer in the middle of others. The input refers to `experts`, so it moves with them but is not copied.
struct ExpertCase {
  std::vector<ExpertWork> experts;
  ExpertScheduleInput in;

  ExpertCase() { refer(); }
  explicit ExpertCase(std::vector<ExpertWork> given) : experts(std::move(given)) { refer(); }
  ExpertCase(ExpertCase&&) = default;

  void refer() {
    in.experts = experts;
    in.layer = 1;
    in.layers = 10;
    in.top_k = 8;
    in.tokens = 1;
  }
};

// `more` is what stands behind "policy" in JSON.
inline ExpertPlan plan_by(const std::string& policy, const ExpertScheduleInput& in, const std::string& more = "") {
  PolicyChoice<ExpertSchedulePolicy> choice;
  std::vector<Fault> faults;
  choice.read(parse_json("{\"policy\": \"" + policy + "\"" + (more.empty() ? "" : ", " + more) + "}", "settings"),
              Place{}, faults);
  CHECK(faults.empty());
  Rng rng(1);
  ExpertPlan plan = choice.decide(in, rng);
  check_plan(in, plan);
  return plan;
}

// Of each expert of the input a letter: g for the GPU, c for the CPU, d for deferred.
inline std::string places(const ExpertScheduleInput& in, const ExpertPlan& plan) {
  std::string letters(in.experts.size(), '?');
  for (const PlannedExpert& planned : plan.order) letters[size_t(planned.index)] = "gcd"[size_t(planned.place)];
  return letters;
}

// Those of one place in the plan's order.
inline std::vector<int32_t> order_at(const ExpertPlan& plan, ExpertPlace place) {
  std::vector<int32_t> order;
  for (const PlannedExpert& planned : plan.order)
    if (planned.place == place) order.push_back(planned.index);
  return order;
}

// Small whole times, so that ties are common.
inline void fill_random_case(ExpertCase& c, size_t experts_max, Rng& rng) {
  const auto up_to = [&](int64_t limit) { return Duration{rng.between(0, limit)}; };
  const bool same_copies = rng.below(2) == 0;
  const Duration copy = up_to(8);
  c.experts.clear();
  int32_t expert = int32_t(rng.below(3));
  for (size_t left = rng.below(experts_max + 1); left > 0; --left) {
    ExpertWork work;
    work.expert = expert;
    expert += int32_t(rng.between(1, 4));
    work.tokens = rng.between(1, 6);
    work.weight = double(work.tokens) * rng.uniform();
    work.resident = rng.below(3) == 0;
    work.arriving = !work.resident && rng.below(4) == 0;
    if (work.arriving) work.arrives = up_to(12);
    work.gpu = Duration{1} + up_to(3);
    work.cpu = Duration{work.tokens * rng.between(1, 3)};
    work.copy = same_copies ? copy : up_to(8);
    c.experts.push_back(work);
  }
  c.refer();
  c.in.tokens = rng.between(1, 6);
  c.in.layer = int32_t(rng.below(10));
  c.in.has_prefill = c.in.tokens > 1 && rng.below(2) == 0;
  c.in.has_cpu = rng.below(6) > 0;
  c.in.in_memory = c.in.has_cpu && rng.below(4) == 0;
  c.in.gpu_busy = up_to(5);
  c.in.cpu_busy = rng.below(2) == 0 ? Duration{} : up_to(5);
  c.in.cpu_first = up_to(2);
  c.in.copies_busy = rng.below(2) == 0 ? Duration{} : up_to(6);
}

}  // namespace moesim
