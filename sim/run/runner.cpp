#include "sim/run/runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/config/units_text.h"
#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/moe/coherence.h"
#include "sim/moe/step_graph.h"
#include "sim/run/accounts.h"
#include "sim/run/cluster.h"
#include "sim/run/graph_run.h"
#include "sim/run/link_changes.h"
#include "sim/run/memory_plan.h"
#include "sim/run/names.h"
#include "sim/run/offload/offload.h"
#include "sim/run/pipeline.h"
#include "sim/run/placement_input.h"
#include "sim/run/rebalancer.h"
#include "sim/run/routing_source.h"
#include "sim/run/speculation.h"
#include "sim/work/bounds.h"
#include "sim/work/executor.h"
#include "topologies/routed_paths.h"

namespace moesim {
namespace {

// As measured or as the scenario says; of a processor in the GPU's memory, which decode attention may run on, only the
// rate at which it reads is known.
KernelParameters kernels_of(const LoadedScenario& loaded) {
  KernelParameters kernels = loaded.profile ? loaded.profile->kernels : loaded.scenario.cost;
  const std::optional<OffloadConfig>& offload = loaded.scenario.offload;
  if (!offload || !offload->cpu.attention) return kernels;
  AttentionParameters& attention = kernels.attention;
  if (!attention.memory_prefill) attention.memory_prefill = attention.memory;
  attention.memory = offload->cpu.memory->bytes_per_s / loaded.gpu.memory_bandwidth.bytes_per_s;
  return kernels;
}

StepModel step_model(const LoadedScenario& loaded, const Layout& layout) {
  std::vector<double> speeds;
  for (int32_t gpu = 0; gpu < layout.gpus && !loaded.scenario.cluster.gpu_speeds.empty(); ++gpu)
    speeds.push_back(gpu_speed(loaded, GpuId(gpu)));
  return {loaded.model,
          layout,
          {loaded.gpu, kernels_of(loaded)},
          loaded.scenario.precision.model,
          loaded.scenario.launch,
          loaded.profile ? loaded.profile->host : HostParameters{},
          std::move(speeds)};
}

ScheduleInput schedule_input(const LlmSpec& llm, const Layout& layout) {
  ScheduleInput in;
  for (int32_t layer = 0; layer < llm.layers; ++layer) in.layer_is_moe.push_back(is_moe_layer(llm, layer));
  in.has_shared_experts = llm.shared_intermediate + llm.dense_ffn_per_layer > 0;
  in.has_tp = layout.tp > 1;
  return in;
}

Schedule schedule_of(const LoadedScenario& loaded, const Layout& layout, const Speculation& speculation) {
  Rng rng = Rng::stream(loaded.scenario.seed, "schedule");
  ScheduleInput in = schedule_input(loaded.model, layout);
  in.has_prediction = speculation.shuffles_tokens();
  in.is_coherent = loaded.scenario.parallelism.context_coherent;
  if (loaded.scenario.offload) in.has_shared_experts = false;  // they are part of what is done outside the graph
  Schedule schedule = loaded.scenario.schedule.decide(in, rng);
  check_schedule(schedule, in);
  return schedule;
}

Placement placement_of(const LoadedScenario& loaded, const Cluster& cluster, const RoutingSource& routing,
                       const Placement* given) {
  const PlacementInput in = placement_input(loaded, cluster, routing, needs_of(loaded.scenario.placement));
  if (given == nullptr) return decide_placement(loaded, in);
  check_placement(*given, in);
  return *given;
}

CommunicationModel communication_of(const LoadedScenario& loaded, const Topology& topology) {
  const CommunicationConfig& config = loaded.scenario.communication;
  std::vector<EndpointId> endpoints;
  std::vector<EndpointId> nic_endpoints;
  for (const VertexId gpu : topology.gpus) endpoints.push_back(endpoint_of(gpu));
  for (const VertexId gpu : topology.gpus) nic_endpoints.push_back(endpoint_of(by_nic(topology, gpu)));
  return {.all_to_all = config.all_to_all,
          .reduction = config.reduction,
          .token_copies = config.token_copies,
          .replica_choice = loaded.scenario.replica_choice,
          .past_load = {},
          .sms = config.sms,
          .stack = config.stack,
          .dispatch_token = token_bytes(loaded.model.hidden, loaded.scenario.precision.dispatch),
          .combine_token = token_bytes(loaded.model.hidden, loaded.scenario.precision.combine),
          .endpoints = std::move(endpoints),
          .nic_endpoints = std::move(nic_endpoints)};
}

// What each link has carried since `before`, which then becomes what it has carried by now.
std::vector<Bytes> carried_since(std::vector<Bytes>& before, const Executor& executor) {
  std::vector<Bytes> carried(before.size());
  for (size_t link = 0; link < before.size(); ++link) {
    const Bytes now = executor.link_use(LinkId(link)).carried;
    carried[link] = now - before[link];
    before[link] = now;
  }
  return carried;
}

MessageNetworkOptions network_options(const LoadedScenario& loaded, const Topology& topology) {
  const Scenario& scenario = loaded.scenario;
  return {.network = {scenario.network, scenario.rate_tolerance.fraction, scenario.packet},
          .paths = scenario.paths,
          .seed = scenario.seed,
          .changes = link_changes_of(loaded, topology)};
}

// What of the network a reader of the results should know beside its fidelity.
std::vector<std::string> network_notes(const Scenario& scenario) {
  std::vector<std::string> notes;
  if (scenario.rate_tolerance > Percentage{0})
    notes.push_back(fmt::format("the times of transfers may be off by {} (rate_tolerance)",
                                quantity_text(scenario.rate_tolerance)));
  if (scenario.paths.name() != "hash") notes.push_back("paths are chosen by " + scenario.paths.name());
  if (!scenario.link_changes.empty())
    notes.push_back(fmt::format("{} link changes are part of the scenario", scenario.link_changes.size()));
  return notes;
}

void expect_tasks(Progress& progress, const TaskGraph& step, int64_t steps_left) {
  progress.tasks_total = progress.tasks_done + int64_t(step.tasks.size()) * steps_left;
}

void begin_record(RunRecord& record, Executor& executor, const Cluster& cluster) {
  record.over_time.emplace(cluster.topology.links.size());
  record.pairs = gpu_pairs(cluster.topology, cluster.layout.gpus_per_node);
  executor.network().record(&*record.over_time);
}

void record_step(RunRecord& record, const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step,
                 Time end) {
  add_step(record.timeline, graph, times, step);
  add_step(record.pairs, graph);
  record.end = end;
}

void end_record(RunRecord& record, const Accounts& accounts, Topology topology) {
  record.use = accounts.link_use();
  record.topology = std::move(topology);
}

// Invariants 3 and 5 of docs/invariants.md, for one step that has run. An ideal network carries more than its links
// can, and beside a migration links may have begun to carry before the step what they finished in it.
void check_step(const StepGraph& step, const StepRouting& routing, const WorkBounds& bounds, bool links_bound,
                Duration length) {
  for (const LayerTraffic& traffic : step.traffic)
    CHECK(traffic.assignments + traffic.dropped == routing.tokens * routing.top_k);
  // The network rounds each finish up to a picosecond and balances rates to 1e-9.
  const Duration slack{1000 + length.ps / 1'000'000'000};
  CHECK(bounds.critical_path <= length + slack);
  for (const auto& resource : {bounds.streams, bounds.pools})
    for (const Duration busy : resource) CHECK(busy <= length + slack);
  if (!links_bound) return;
  for (const Duration busy : bounds.links) CHECK(busy <= length + slack);
}

// Invariant 2: all that steps, migrations and copies of experts sent has arrived, but for what is still under way.
void check_payload(const Executor& executor, Bytes steps, const Rebalancer& rebalancer, const Offload* offload) {
  CHECK(executor.bytes_sent() == steps + rebalancer.sent() + (offload != nullptr ? offload->sent() : Bytes{}));
  CHECK(executor.bytes_delivered() <= executor.bytes_sent());
  if (!rebalancer.migrating() && (offload == nullptr || !offload->copying()))
    CHECK(executor.bytes_delivered() == executor.bytes_sent());
}

// Runs the scenario again without speculation, where it has any, to tell what that saves.
void add_savings(const LoadedScenario& loaded, const RunControl& control, Results& results) {
  if (!results.speculation) return;
  for (const OperationResult& operation : results.breakdown)
    if (operation.operation == name_of(Operation::predict))
      results.speculation->predict_s = operation.exposed_s + operation.hidden_s;
  const std::optional<LoadedScenario> plain = without_speculation(loaded);
  if (!plain) return;
  const Results others = run_scenario(
      *plain, {.stop = control.stop, .progress = nullptr, .record = nullptr, .placement = control.placement});
  results.complete &= others.complete;
  results.speculation->unshuffled_local_activation_rate =
      others.speculation ? others.speculation->local_activation_rate : 0;
  results.speculation->bytes_saved = others.bytes_sent - results.bytes_sent;
  results.speculation->time_saved_s = others.step_time_s - results.step_time_s;
}

// Runs the scenario again with what offloading could have been at best.
void add_offload_references(const LoadedScenario& loaded, const RunControl& control, Results& results) {
  for (const auto& [what, reference] : offload_references(loaded)) {
    const Results others = run_scenario(
        reference, {.stop = control.stop, .progress = nullptr, .record = nullptr, .placement = control.placement});
    results.complete &= others.complete;
    results.offload->references.push_back({what, others.offload->hit_rate, others.step_time_s, others.tokens_per_s});
  }
}

// What the steps of a run share, and what they have come to.
struct Run {
  const RunControl& control;
  Speculation& speculation;
  const StepModel& model;
  const Schedule& schedule;
  CommunicationModel communication;
  RunEngine engine;
  Offload* offload;  // none where all experts are in the GPUs
  Rebalancer& rebalancer;
  Accounts& accounts;
  std::optional<Pipeline>& pipeline;
  const std::vector<int32_t>& pools;
  Rng rng;
  Bytes payload;               // of the steps
  std::vector<Bytes> carried;  // [link] by now
  int32_t switches = -1;       // of the placement, that the communication knows of
  std::string digest;          // of the steps that were finished
  int64_t events = 0;
};

void tell_placement(Run& run) {
  if (run.switches == run.rebalancer.switches()) return;
  run.switches = run.rebalancer.switches();
  run.speculation.learn(run.rebalancer.placement());
  run.communication.past_load = has_copies(run.rebalancer.placement()) ? run.rebalancer.past_load() : ExpertLoads{};
}

// The step, and what follows before the next one; false where it was stopped.
bool run_step(Run& run, int32_t step) {
  const Scenario& scenario = run.engine.loaded.scenario;
  Executor& executor = run.engine.executor;
  const Simulator& sim = run.engine.sim;
  const Layout& layout = run.model.layout;
  tell_placement(run);
  const SpeculatedStep speculated = run.speculation.step(step);
  const bool coherent = scenario.parallelism.context_coherent;
  const CoherentStep moved =
      coherent ? coherent_step(speculated.routing, speculated.batch, run.rebalancer.placement(), layout)
               : CoherentStep{};
  const StepRouting& routing = coherent ? moved.routing : speculated.routing;
  const ShuffleCosts costs = run.speculation.costs();
  const StepInput input{
      run.model, speculated.batch,      routing, run.rebalancer.placement(), run.schedule, run.communication, costs,
      moved,     run.offload != nullptr};
  const StepGraph graph =
      run.pipeline ? run.pipeline->step(routing, run.rebalancer.placement()) : build_step(input, run.rng);
  if (run.offload != nullptr) run.offload->begin_step(step, routing, graph);
  run.payload += graph.payload;
  if (run.control.progress != nullptr) expect_tasks(*run.control.progress, graph.graph, scenario.steps - step);
  const bool links_bound = scenario.network != Fidelity::ideal && !run.rebalancer.migrating() && run.offload == nullptr;
  const Time begin = sim.now();
  const std::optional<GraphId> id = run_graph(run.engine, graph.graph);
  if (!id) return false;
  const Time end = sim.now();
  check_payload(executor, run.payload, run.rebalancer, run.offload);
  const WorkBounds bounds = work_bounds(graph.graph, executor.network(), carried_since(run.carried, executor),
                                        size_t(layout.gpus) * kLanes, run.pools);
  check_step(graph, routing, bounds, links_bound, end - begin);
  run.accounts.add_step(graph, executor, *id, bounds, routing.tokens, begin, end, run.rebalancer.age());
  run.speculation.add_step(graph, routing);
  run.digest = sim.digest.hex();
  run.events = int64_t(sim.events());
  if (run.control.record != nullptr) record_step(*run.control.record, graph.graph, executor.times(*id), step, end);
  executor.release(*id);
  if (step + 1 == scenario.steps) return true;

  const bool goes_on = run.rebalancer.after_step(routing, step);
  run.accounts.add_stall(sim.now() - end);
  if (sim.now() > end) carried_since(run.carried, executor);  // no step did that
  return goes_on;
}

// What the run found, but for what its batch tells.
Results results_of(const Run& run, const RoutingSource& routing, const std::vector<MemoryResult>& memory,
                   bool complete) {
  const LoadedScenario& loaded = run.engine.loaded;
  Results results = run.accounts.results(memory);
  results.complete = complete;
  results.rebalancing = run.rebalancer.results(run.accounts.steps());
  results.rerouting = routing.rerouting;
  results.speculation = run.speculation.result();
  if (run.offload != nullptr)
    results.offload = run.offload->result(int64_t(run.accounts.steps().size()), run.accounts.total());
  add_savings(loaded, run.control, results);
  add_offload_references(loaded, run.control, results);
  if (run.pipeline) run.pipeline->add_to(results);
  results.digest = run.digest;
  results.events = run.events;
  return results;
}

std::vector<std::string> notes_of(const Run& run, const RoutingSource& routing, const Batch& batch) {
  const Scenario& scenario = run.engine.loaded.scenario;
  std::vector<std::string> notes = routing_notes(routing, batch, scenario.steps);
  for (std::string& note : network_notes(scenario)) notes.push_back(std::move(note));
  return notes;
}

}  // namespace

void check_scenario(const LoadedScenario& loaded) {
  Cluster cluster = build_cluster(loaded);
  const Batch batch = batch_of(loaded.scenario, cluster.layout);
  check_pipeline(loaded, cluster);
  check_offload(loaded, cluster.layout, plan_memory(loaded, cluster.layout, batch));
  if (loaded.scenario.offload) add_host_memories(loaded, cluster);
  check_placement_file(loaded, cluster.layout);
  check_speculation(loaded, cluster.layout);
  link_changes_of(loaded, cluster.topology);
}

Results run_scenario(const LoadedScenario& loaded, const RunControl& control) {
  const Scenario& scenario = loaded.scenario;
  Cluster cluster = build_cluster(loaded);
  const Layout& layout = cluster.layout;
  const Batch batch = batch_of(scenario, layout);
  check_pipeline(loaded, cluster);
  check_speculation(loaded, layout);
  const std::vector<MemoryResult> memory = plan_memory(loaded, layout, batch);
  check_offload(loaded, layout, memory);
  const HostMemories memories = scenario.offload ? add_host_memories(loaded, cluster) : HostMemories{};
  RoutingSource routing_source = routing_of(loaded, layout, batch);
  routing_source.with_gate = scenario.offload.has_value();
  Speculation speculation(loaded, layout, routing_source, batch);
  const Schedule schedule = schedule_of(loaded, layout, speculation);

  Routes routes(cluster.topology, scenario.seed);
  RoutedPaths paths(cluster.topology, routes);
  const StepModel model = step_model(loaded, layout);
  const std::vector<int32_t> pools(size_t(layout.gpus), loaded.gpu.sms);
  Simulator sim;
  Executor executor(sim, network_options(loaded, cluster.topology), cluster.topology.links, paths,
                    size_t(layout.gpus) * kLanes, pools);
  if (control.progress != nullptr) executor.count_tasks(&control.progress->tasks_done);

  if (control.record != nullptr) begin_record(*control.record, executor, cluster);
  const RunEngine engine{loaded, sim, executor, control.stop};
  Rebalancer rebalancer({loaded, cluster, routing_source, memory, engine, control.record},
                        placement_of(loaded, cluster, routing_source, control.placement), control.placement == nullptr);
  std::optional<Offload> offload;
  if (scenario.offload)
    offload.emplace(OffloadInput{loaded, cluster, memories, model, batch, routing_source, rebalancer.placement(),
                                 memory, sim, executor,
                                 control.record != nullptr ? &control.record->timeline : nullptr});
  Accounts accounts(loaded, cluster);
  std::optional<Pipeline> pipeline;
  if (scenario.pipeline) pipeline.emplace(loaded, cluster, model, batch, paths);
  Run run{.control = control,
          .speculation = speculation,
          .model = model,
          .schedule = schedule,
          .communication = communication_of(loaded, cluster.topology),
          .engine = engine,
          .offload = offload ? &*offload : nullptr,
          .rebalancer = rebalancer,
          .accounts = accounts,
          .pipeline = pipeline,
          .pools = pools,
          .rng = Rng::stream(scenario.seed, "step"),
          .payload = {},
          .carried = std::vector<Bytes>(cluster.topology.links.size()),
          .digest = sim.digest.hex()};
  bool complete = true;
  for (int32_t step = 0; step < scenario.steps && complete; ++step) complete = run_step(run, step);

  Results results = results_of(run, routing_source, memory, complete);
  results.tokens_per_step = new_tokens(batch);
  results.notes = notes_of(run, routing_source, batch);
  if (control.record != nullptr) end_record(*control.record, accounts, std::move(cluster.topology));
  return results;
}

}  // namespace moesim
