#include "sim/run/rebalancer.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/relabel.h"
#include "sim/run/placement_input.h"
#include "topologies/routed_paths.h"

namespace moesim {

Rebalancer::Rebalancer(const RebalancerInput& in, Placement first, bool may_rebalance)
    : in_(in),
      config_(in.loaded.scenario.rebalance),
      policy_(config_.placement.value_or(in.loaded.scenario.placement)),
      active_(may_rebalance && config_.policy.name() != "never"),
      expert_(bytes_of(expert_parameters(in.loaded.model), in.loaded.scenario.precision.model.experts)),
      rng_(Rng::stream(in.loaded.scenario.seed, "rebalance")),
      present_(std::move(first)) {
  for (const VertexId gpu : in.cluster.topology.gpus) endpoints_.push_back(endpoint_of(gpu));
  if (!active_) {
    if (has_copies(present_)) past_load_ = moesim::past_load(in.routing);
    return;
  }
  placement_input_ = placement_input(in.loaded, in.cluster, in.routing, needs_of(policy_));
  past_load_ = placement_input_.past_load;
}

bool Rebalancer::after_step(const StepRouting& routing, int32_t step) {
  ++age_;
  if (!active_) return true;
  if (moving_) ++next_age_;
  if (moving_ && in_.engine.executor.finished(moving_->id) && !take_in(step)) return false;
  const ExpertLoads prediction = config_.prediction.step(history_, loads_of(routing), rng_);
  const RebalanceObservation seen{predicted_max_over_mean(prediction, present_), moving_.has_value()};
  if (!config_.policy.step(state_, seen, rng_)) return true;
  CHECK(!moving_);
  decide(prediction, step);
  return migrate(step);
}

double Rebalancer::predicted_max_over_mean(const ExpertLoads& loads, const Placement& placement) const {
  const size_t gpus = size_t(placement_input_.gpus);
  double sum = 0;
  for (size_t layer = 0; layer < loads.size(); ++layer)
    sum += max_over_mean(gpu_loads(placement.hosts[layer], loads[layer], gpus));
  return loads.empty() ? 1 : sum / double(loads.size());
}

void Rebalancer::decide(const ExpertLoads& prediction, int32_t step) {
  placement_input_.past_load = prediction;
  next_ = relabelled(placement_input_, present_, policy_.decide(placement_input_, rng_), needs_of(policy_));
  check_placement(next_, placement_input_);
  next_load_ = prediction;
  next_age_ = 0;
  RebalanceResult& result = rebalances_.emplace_back();
  result.after_step = step;
  result.predicted_before = predicted_max_over_mean(prediction, present_);
  result.predicted_after = predicted_max_over_mean(prediction, next_);
}

// Sends what the GPUs lack. Blocking, it waits; in the background the next step starts at once. Where nothing is to
// move, the placement changes at once.
bool Rebalancer::migrate(int32_t step) {
  const std::vector<ExpertMove> moves = migration_moves(present_, next_, in_.cluster.layout);
  check_moves(moves, present_, next_, in_.cluster.layout);
  const Bytes bytes = int64_t(moves.size()) * expert_;
  RebalanceResult& result = rebalances_.back();
  result.copies = int64_t(moves.size());
  result.bytes = bytes.count;
  sent_ += bytes;
  const bool background = config_.migration == Migration::background;
  const Time begin = in_.engine.sim.now();
  graph_ = migration_graph(moves, expert_, background ? Duration{} : config_.stall, in_.cluster.layout, endpoints_);
  if (background && !moves.empty()) {
    check_room(moves);
    moving_ = Moving{in_.engine.executor.submit(graph_), begin};
    return true;
  }
  if (background) {
    if (!stall(step)) return false;
    switch_over(step);
    return true;
  }
  const Bytes sent_before = in_.engine.executor.bytes_sent();
  const std::optional<GraphId> id = run_graph(in_.engine, graph_);
  if (!id) return false;
  CHECK(in_.engine.executor.bytes_sent() - sent_before == bytes);
  record(graph_, in_.engine.executor.times(*id), step);
  in_.engine.executor.release(*id);
  const Duration length = in_.engine.sim.now() - begin;
  result.transfer_s = (length - config_.stall).seconds();
  result.stalled_s = length.seconds();
  stalled_ += length;
  switch_over(step);
  return true;
}

// The weights that travelled behind the steps are there.
bool Rebalancer::take_in(int32_t step) {
  Time end = moving_->begin;
  const std::vector<TaskTimes>& times = in_.engine.executor.times(moving_->id);
  for (const TaskTimes& task : times) end = std::max(end, task.end);
  rebalances_.back().transfer_s = (end - moving_->begin).seconds();
  record(graph_, times, step);
  in_.engine.executor.release(moving_->id);
  moving_.reset();
  if (!stall(step)) return false;
  switch_over(step);
  return true;
}

// All GPUs wait for the switch to a placement whose weights have come behind the steps.
bool Rebalancer::stall(int32_t step) {
  if (config_.stall == Duration{}) return true;
  const TaskGraph wait = migration_graph({}, expert_, config_.stall, in_.cluster.layout, endpoints_);
  const std::optional<GraphId> id = run_graph(in_.engine, wait);
  if (!id) return false;
  record(wait, in_.engine.executor.times(*id), step);
  in_.engine.executor.release(*id);
  rebalances_.back().stalled_s = config_.stall.seconds();
  stalled_ += config_.stall;
  return true;
}

void Rebalancer::switch_over(int32_t step) {
  CHECK(!moving_);  // no expert computes before its weights have arrived
  present_ = std::move(next_);
  past_load_ = std::move(next_load_);
  age_ = next_age_;
  ++switches_;
  rebalances_.back().first_step = step + 1;
}

// Weights that come behind the steps lie beside those that still serve.
void Rebalancer::check_room(const std::vector<ExpertMove>& moves) const {
  std::vector<int64_t> arriving(endpoints_.size(), 0);
  for (const ExpertMove& move : moves) arriving[index(move.to)] += expert_.count;
  for (size_t gpu = 0; gpu < arriving.size(); ++gpu) {
    const MemoryResult& memory = in_.memory[gpu];
    if (memory.total + arriving[gpu] <= memory.capacity) continue;
    throw ConfigError(
        in_.loaded.source,
        {fault_at(in_.loaded.root, "/rebalance/migration",
                  fmt::format("in the background {:.2f} GiB of experts would come to GPU {}, beside {:.2f} GiB that it "
                              "holds, of {:.2f} GiB usable; take \"blocking\", or more GPUs or a smaller batch",
                              double(arriving[gpu]) / double(1 << 30), gpu, double(memory.total) / double(1 << 30),
                              double(memory.capacity) / double(1 << 30)))});
  }
}

void Rebalancer::record(const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step) const {
  if (in_.record == nullptr) return;
  add_step(in_.record->timeline, graph, times, step);
  add_step(in_.record->pairs, graph);
}

std::optional<RebalancingResult> Rebalancer::results(const std::vector<StepResult>& steps) const {
  if (!active_) return std::nullopt;
  RebalancingResult result;
  result.rebalances = rebalances_;
  result.bytes = sent_.count;
  result.stalled_s = stalled_.seconds();
  std::map<int32_t, AgeResult> ages;
  for (const StepResult& step : steps) {
    AgeResult& age = ages[step.placement_age];
    age.age = step.placement_age;
    ++age.steps;
    age.gpu_load_max_over_mean += step.gpu_load_max_over_mean;
  }
  for (auto& [key, age] : ages) {
    age.gpu_load_max_over_mean /= age.steps;
    result.ages.push_back(age);
  }
  return result;
}

}  // namespace moesim
