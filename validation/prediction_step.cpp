// MoE layers and whole steps, through the step graph that scenarios run too.
#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/moe/operation_cost.h"
#include "validation/prediction_parts.h"

namespace moesim {
namespace {

// The cost model of records whose way back is index_copy and index_add: each phase of its own, so that one GPU regroups
// too.
CostModel cost_model_of(const PredictionModel& model, bool scatters) {
  CostModel cost = moesim::cost_model_of(model);
  if (!scatters) return cost;
  cost.kernels.unregroup = cost.kernels.scatter;
  cost.kernels.unpermute = cost.kernels.scatter_add;
  cost.kernels.regroup_alone = true;
  return cost;
}

using Counts = std::vector<std::vector<int64_t>>;  // [source rank][expert]

StepRouting routing_of(std::span<const Counts> layers, int64_t tokens_per_rank, int32_t top_k, int32_t experts) {
  StepRouting routing;
  const int64_t ranks = int64_t(layers[0].size());
  routing.tokens = tokens_per_rank * ranks;
  routing.layers = int32_t(layers.size());
  routing.experts = experts;
  routing.top_k = top_k;
  for (int64_t rank = 0; rank <= ranks; ++rank) routing.first_token.push_back(rank * tokens_per_rank);
  for (const Counts& counts : layers) {
    std::vector<int64_t>& flat = routing.counts.emplace_back();
    for (const std::vector<int64_t>& of_rank : counts) {
      flat.insert(flat.end(), of_rank.begin(), of_rank.end());
      CHECK(std::accumulate(of_rank.begin(), of_rank.end(), int64_t{0}) == tokens_per_rank * top_k);
    }
  }
  return routing;
}

Placement contiguous(int32_t layers, int32_t experts, int32_t ranks) {
  PlacementInput in;
  in.layers = layers;
  in.experts = experts;
  in.gpus = ranks;
  in.slots_per_gpu = (experts + ranks - 1) / ranks;
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>("contiguous").decide(in, rng);
}

// A layer alone, which no schedule of a model has. Chunks travel on streams of their own.
Schedule layer_alone(int32_t chunks) {
  Schedule schedule;
  const int32_t gate = append(schedule, {Operation::gate, 0, 0, 1, Lane::compute, {}});
  const Lane dispatch_lane = chunks > 1 ? Lane::dispatch : Lane::compute;
  const Lane combine_lane = chunks > 1 ? Lane::combine : Lane::compute;
  std::vector<int32_t> dispatched;
  for (int32_t chunk = 0; chunk < chunks; ++chunk)
    dispatched.push_back(append(schedule, {Operation::dispatch, 0, chunk, chunks, dispatch_lane, {gate}}));
  std::vector<int32_t> combined;
  for (int32_t chunk = 0; chunk < chunks; ++chunk) {
    const int32_t experts =
        append(schedule, {Operation::experts, 0, chunk, chunks, Lane::compute, {dispatched[size_t(chunk)]}});
    combined.push_back(append(schedule, {Operation::combine, 0, chunk, chunks, combine_lane, {experts}}));
  }
  append(schedule, {Operation::unpermute, 0, 0, 1, Lane::compute, combined});
  return schedule;
}

// Blocks one after another, without the head.
Schedule blocks_in_sequence(int32_t layers) {
  ScheduleInput in;
  in.layer_is_moe.assign(size_t(layers), true);
  in.has_lm_head = false;
  Rng rng(1);
  return PolicyChoice<SchedulePolicy>("sequential").decide(in, rng);
}

// What build_step() needs beside the schedule.
struct StepCase {
  StepModel model;
  Batch batch;
  StepRouting routing;
  Placement placement;
  CommunicationModel communication;
};

CommunicationModel communication_of(const PredictionModel& model, const Server& server, int64_t hidden) {
  CommunicationModel communication;
  communication.all_to_all = PolicyChoice<AllToAllAlgorithm>("direct");
  communication.reduction = PolicyChoice<ReductionAlgorithm>("direct");
  communication.token_copies = TokenCopies::per_expert;
  communication.sms = 20;
  communication.stack = model.profile.collectives;
  communication.dispatch_token = communication.combine_token = bytes_of(hidden, Precision::bf16);
  communication.endpoints = communication.nic_endpoints = server.endpoints();
  return communication;
}

Duration run_schedule(Server& server, const StepCase& step, const Schedule& schedule) {
  Rng rng(1);
  const StepGraph graph =
      build_step({step.model, step.batch, step.routing, step.placement, schedule, step.communication}, rng);
  const Duration start = step.model.launch == Launch::eager ? step.model.host.start : Duration{};
  return start + server.run(graph.graph);
}

// What the records of layers and of steps say alike, with `counts` of each layer.
template <class Record>
StepCase case_of(const PredictionModel& model, const Record& record, std::span<const Counts> counts,
                 const Server& server) {
  const auto layers = int32_t(counts.size());
  StepCase step;
  LlmSpec& llm = step.model.llm;
  llm.layers = layers;
  llm.hidden = record.d;
  llm.experts = record.experts;
  llm.top_k = record.top_k;
  llm.moe_intermediate = record.f;
  step.model.layout = {record.ranks, record.ranks, 1, record.ranks};
  step.model.gpu = cost_model_of(model, record.scatters);
  step.model.host = model.profile.host;
  step.routing = routing_of(counts, record.tokens_per_rank, record.top_k, record.experts);
  step.placement = contiguous(layers, record.experts, record.ranks);
  step.communication = communication_of(model, server, record.d);
  return step;
}

StepCase layer_case(const PredictionModel& model, const MoeLayerRecord& layer, Launch launch, const Server& server) {
  StepCase result = case_of(model, layer, std::array{layer.counts}, server);
  result.model.gpu.kernels.norm.kernels = 0;  // a layer alone has no norm
  result.model.launch = launch;
  result.batch.ranks.assign(size_t(layer.ranks), {{layer.tokens_per_rank, 0}});
  return result;
}

// [rank][expert that it hosts]
Counts rows_of_ranks(const MoeLayerRecord& layer) {
  Counts rows(size_t(layer.ranks));
  for (size_t expert = 0; expert < size_t(layer.experts); ++expert) {
    int64_t tokens = 0;
    for (const std::vector<int64_t>& source : layer.counts) tokens += source[expert];
    rows[expert * size_t(layer.ranks) / size_t(layer.experts)].push_back(tokens);
  }
  return rows;
}

// The kernels of a phase on a rank; none for phases that are collectives.
std::vector<KernelCost> kernels_of(const CostModel& cost, const MoeLayerRecord& layer, std::string_view phase,
                                   const std::vector<int64_t>& rows) {
  const int64_t tokens = layer.tokens_per_rank;
  const int64_t sent = tokens * layer.top_k;
  const int64_t received = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  if (phase == "gate") return {kernel_cost(cost, Gate{tokens, layer.d, layer.experts, layer.top_k})};
  if (phase == "permute") return {kernel_cost(cost, MoveRows{tokens, sent, layer.d, RowPass::permute})};
  if (phase == "regroup") return {kernel_cost(cost, MoveRows{received, received, layer.d, RowPass::regroup})};
  if (phase == "unregroup") return {kernel_cost(cost, MoveRows{received, received, layer.d, RowPass::unregroup})};
  if (phase == "unpermute") return {kernel_cost(cost, MoveRows{sent, tokens, layer.d, RowPass::unpermute})};
  if (phase == "experts")
    return {kernel_cost(cost, GroupedGemm{rows, 2 * layer.f, layer.d}), kernel_cost(cost, SwiGlu{received, layer.f}),
            kernel_cost(cost, GroupedGemm{rows, layer.d, layer.f})};
  return {};
}

}  // namespace

std::vector<Predicted> predict_layer(const PredictionModel& model, const MoeLayerRecord& layer, Launch launch,
                                     std::span<const PhaseTime> phases) {
  Server server(model, layer.ranks);
  const StepCase step = layer_case(model, layer, launch, server);
  const CostModel cost = cost_model_of(model, layer.scatters);
  const Counts rows = rows_of_ranks(layer);
  std::vector<Predicted> predicted;
  for (const PhaseTime& time : phases) {
    Duration longest;
    Schedule schedule;
    if (time.phase == "layer") {
      schedule = layer_alone(layer.chunks);
    } else if (time.phase == "dispatch" || time.phase == "combine") {
      if (layer.ranks == 1) continue;  // nothing travels, whatever was measured
      append(schedule, {time.phase == "dispatch" ? Operation::dispatch : Operation::combine, 0, 0, 1, {}, {}});
    }
    if (!schedule.empty()) longest = run_schedule(server, step, schedule);
    for (const std::vector<int64_t>& of_rank : rows)
      longest =
          std::max(longest, run_kernels(model, launch, layer.ranks, kernels_of(cost, layer, time.phase, of_rank)));
    predicted.push_back({time.phase, us_of(longest)});
  }
  return predicted;
}

std::vector<Predicted> predict_step(const PredictionModel& model, const ModelStepRecord& record,
                                    std::span<const PhaseTime> phases) {
  Server server(model, record.ranks);
  StepCase step = case_of(model, record, record.counts, server);
  LlmSpec& llm = step.model.llm;
  llm.heads = record.heads;
  llm.kv_heads = record.kv_heads;
  llm.head_dim = record.head_dim;
  const std::vector<Request> requests = record.prefill
                                            ? std::vector<Request>{{record.tokens_per_rank, 0}}
                                            : std::vector<Request>(size_t(record.tokens_per_rank), {1, record.kv - 1});
  step.batch.ranks.assign(size_t(record.ranks), requests);
  const Schedule schedule = blocks_in_sequence(record.layers);
  std::vector<Predicted> predicted;
  for (const PhaseTime& time : phases) {
    step.model.launch = time.phase == "eager" ? Launch::eager : Launch::graph;
    predicted.push_back({time.phase, us_of(run_schedule(server, step, schedule))});
  }
  return predicted;
}

}  // namespace moesim
