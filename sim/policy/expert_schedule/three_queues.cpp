// HybriMoE's search, as its paper has it: three queues with clocks of their own, and of the next thing that each could
// do, what would be done first is committed. The GPU takes the heaviest expert that it has; the CPU the lightest that
// is missing, or, where none is left, the lightest that the GPU has; the bus brings the heaviest that is missing, which
// then waits for the GPU among the others.

#include "sim/policy/expert_schedule/three_queues.h"

#include <algorithm>
#include <array>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

// An expert that the GPU has or will have.
struct Waiting {
  int32_t index = 0;
  Duration at;
  bool copied = false;  // by this plan: the CPU leaves it alone, or the copy would be for nothing
};

struct Queues {
  const ExpertScheduleInput& in;
  ExpertPlan plan;
  std::vector<Waiting> gpu;      // heaviest first
  std::vector<int32_t> missing;  // heaviest first
  size_t copied = 0;             // of `missing`, from its front
  Duration gpu_free;
  Duration cpu_free;  // with what its first expert takes longer, until it has run
  Duration bus_free;
};

enum class Queue : uint8_t { none, gpu, cpu, copy };

struct Step {
  Queue queue = Queue::none;
  Duration done;
  size_t at = 0;  // in `gpu`, for GPU and CPU; gpu.size() for the lightest of `missing`
};

Step next_of_gpu(const Queues& q) {
  if (q.gpu.empty()) return {};
  auto next = std::find_if(q.gpu.begin(), q.gpu.end(), [&](const Waiting& w) { return w.at <= q.gpu_free; });
  if (next == q.gpu.end())
    next = std::min_element(q.gpu.begin(), q.gpu.end(), [](const Waiting& a, const Waiting& b) { return a.at < b.at; });
  const Duration length = q.in.experts[size_t(next->index)].gpu;
  return {Queue::gpu, std::max(q.gpu_free, next->at) + length, size_t(next - q.gpu.begin())};
}

Step next_of_cpu(const Queues& q) {
  if (q.copied < q.missing.size()) {
    const ExpertWork& work = q.in.experts[size_t(q.missing.back())];
    if (can_run_beside(q.in, work)) return {Queue::cpu, q.cpu_free + work.cpu, q.gpu.size()};
  }
  for (size_t at = q.gpu.size(); at-- > 0;) {
    const ExpertWork& work = q.in.experts[size_t(q.gpu[at].index)];
    if (!q.gpu[at].copied && can_run_beside(q.in, work)) return {Queue::cpu, q.cpu_free + work.cpu, at};
  }
  return {};
}

Step next_of_bus(const Queues& q) {
  if (q.copied == q.missing.size()) return {};
  return {Queue::copy, q.bus_free + q.in.experts[size_t(q.missing[q.copied])].copy};
}

void commit(Queues& q, const Step& step) {
  if (step.queue == Queue::copy) {
    q.bus_free = step.done;
    const int32_t index = q.missing[q.copied++];
    const auto before =
        std::find_if(q.gpu.begin(), q.gpu.end(), [&](const Waiting& w) { return is_heavier(q.in, index, w.index); });
    q.gpu.insert(before, {index, step.done, true});
    return;
  }
  const ExpertPlace place = step.queue == Queue::gpu ? ExpertPlace::gpu : ExpertPlace::cpu;
  (place == ExpertPlace::gpu ? q.gpu_free : q.cpu_free) = step.done;
  if (step.at == q.gpu.size()) {
    q.plan.order.push_back({q.missing.back(), place});
    q.missing.pop_back();
    return;
  }
  q.plan.order.push_back({q.gpu[step.at].index, place});
  q.gpu.erase(q.gpu.begin() + int64_t(step.at));
}

Queues queues_of(const ExpertScheduleInput& in) {
  Queues q{in, {}, {}, {}, 0, in.gpu_busy, in.cpu_busy + in.cpu_first, in.copies_busy};
  q.plan.order.reserve(in.experts.size());
  q.gpu.reserve(in.experts.size());
  q.missing.reserve(in.experts.size());
  for (size_t i = 0; i < in.experts.size(); ++i) {
    const ExpertWork& work = in.experts[i];
    if (work.resident || work.arriving)
      q.gpu.push_back({int32_t(i), ready_at(work, {})});
    else
      q.missing.push_back(int32_t(i));
  }
  std::sort(q.gpu.begin(), q.gpu.end(),
            [&](const Waiting& a, const Waiting& b) { return is_heavier(in, a.index, b.index); });
  // The CPU takes them from the end, the lower number of two equals first.
  std::sort(q.missing.begin(), q.missing.end(), [&](int32_t a, int32_t b) {
    const int64_t tokens_a = in.experts[size_t(a)].tokens;
    const int64_t tokens_b = in.experts[size_t(b)].tokens;
    return tokens_a != tokens_b ? tokens_a > tokens_b : a > b;
  });
  return q;
}

struct ThreeQueuesOptions {
  QueueTies ties = QueueTies::cpu;
};

template <class Visitor>
void fields(Visitor& v, ThreeQueuesOptions& o) {
  v.optional("ties", o.ties,
             "which goes first where two would be done at the same time: `cpu`, then the bus, then the GPU, or `gpu`, "
             "then the CPU, then the bus");
}

ExpertPlan schedule_three_queues(const ExpertScheduleInput& in, const ThreeQueuesOptions& options, Rng&) {
  return three_queues_plan(in, options.ties);
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "three_queues", "of the next steps of GPU, CPU and bus, always the one that is done first, as HybriMoE's paper",
    schedule_three_queues);

}  // namespace

ExpertPlan three_queues_plan(const ExpertScheduleInput& in, QueueTies ties) {
  Queues q = queues_of(in);
  while (q.plan.order.size() < in.experts.size()) {
    const std::array<Step, 3> steps = ties == QueueTies::cpu
                                          ? std::array{next_of_cpu(q), next_of_bus(q), next_of_gpu(q)}
                                          : std::array{next_of_gpu(q), next_of_cpu(q), next_of_bus(q)};
    Step best;
    for (const Step& step : steps)
      if (step.queue != Queue::none && (best.queue == Queue::none || step.done < best.done)) best = step;
    CHECK(best.queue != Queue::none);
    commit(q, best);
  }
  return std::move(q.plan);
}

}  // namespace moesim
