#include "sim/moe/offload/pipeline_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr GpuId kGpu{0};

constexpr TaskId kNoTask{-1};

class PipelineBuilder {
 public:
  PipelineBuilder(const PipelineSetup& setup, const PipelinePlan& plan, const StepRouting& routing,
                  const Placement& placement)
      : setup_(setup),
        llm_(setup.model.llm),
        plan_(plan),
        in_(pipeline_input(setup)),
        routing_(routing),
        placement_(placement),
        gpu_{setup.model.gpu, llm_, setup.model.precision, 1},
        data_(size_t(llm_.layers)) {
    int32_t moe_layer = 0;
    for (int32_t layer = 0; layer < llm_.layers; ++layer)
      moe_layer_.push_back(is_moe_layer(llm_, layer) ? moe_layer++ : -1);
    for (size_t work = 0; work < done_.size(); ++work) {
      const int32_t parts = PipelineWork(work) == PipelineWork::load ? plan.pages : in_.micro_batches;
      done_[work].assign(size_t(in_.layers + plan.buffers) * size_t(parts), kNoTask);
    }
  }

  PipelinedStep build() {
    count_traffic();
    for (const PipelineTask& task : plan_.tasks) {
      if (task.work == PipelineWork::wait) {
        add_wait();
        continue;
      }
      const TaskId last = add(task);
      done(task.work, task.layer, task.part) = last;
    }
    add_operation(Operation::lm_head, {0, llm_.layers - 1, setup_.requests});
    return std::move(result_);
  }

 private:
  struct Piece {
    int32_t micro_batch = 0;
    int32_t layer = 0;
    std::span<const Request> requests;
  };

  TaskId& done(PipelineWork work, int32_t layer, int32_t part) {
    const int32_t parts = work == PipelineWork::load ? plan_.pages : in_.micro_batches;
    return done_[size_t(work)][size_t(layer) * size_t(parts) + size_t(part)];
  }

  // What was there as the step began, or is not done at all, is not waited for.
  void wait_for(TaskId task, TaskId before) {
    if (before != kNoTask) add_dependency(result_.step.graph, before, task);
  }

  void count_traffic() {
    for (int32_t moe_layer = 0; moe_layer < int32_t(moe_layers(llm_)); ++moe_layer)
      result_.step.traffic.push_back(traffic(moe_layer, 0, 1));
  }

  LayerTraffic traffic(int32_t moe_layer, int32_t part, int32_t parts) const {
    return layer_traffic(routing_, placement_, setup_.model.layout,
                         routing_.is_counts() ? TokenCopies::per_expert : TokenCopies::per_gpu, moe_layer, part, parts);
  }

  const AttentionData& data(const Piece& piece) {
    std::vector<AttentionData>& of_layer = data_[size_t(piece.layer)];
    if (of_layer.empty())
      for (int32_t m = 0; m < in_.micro_batches; ++m)
        of_layer.push_back(attention_data(llm_, setup_.model.precision, piece.layer, requests_of(setup_, m)));
    return of_layer[size_t(piece.micro_batch)];
  }

  TaskId add(const PipelineTask& task) {
    if (task.work == PipelineWork::load) return add_load(task);
    const Piece piece{task.part, task.layer, requests_of(setup_, task.part)};
    switch (task.work) {
      case PipelineWork::fetch:
        return add_fetch(piece);
      case PipelineWork::project:
        return add_project(piece);
      case PipelineWork::send:
        return add_send(piece);
      case PipelineWork::attend:
        return add_attend(piece);
      case PipelineWork::receive:
        return add_receive(piece);
      case PipelineWork::load:
      case PipelineWork::wait:
      case PipelineWork::finish:
        break;
    }
    return add_finish(piece);
  }

  // The last task of each queue is waited for, as a queue does one after another.
  void add_wait() {
    TaskGraph& graph = result_.step.graph;
    std::array<TaskId, kLanes> last{};
    last.fill(kNoTask);
    for (size_t task = size_t(std::max(0, int32_t(waited_))); task < graph.tasks.size(); ++task)
      last[index(graph.tasks[task].stream)] = TaskId(int32_t(task));
    const uint32_t label = graph.tasks.empty() ? 0 : graph.tasks.back().label;
    waited_ = add_task(graph, {stream_of(kGpu, Lane::compute), kNoPool, 0, {}, label});
    for (const TaskId before : last) wait_for(waited_, before);
  }

  TaskId add_copy(Lane lane, bool to_gpu, int32_t layer, int32_t part, Bytes bytes) {
    const TaskLabel label{Operation::copy, std::min(layer, llm_.layers - 1), part};
    const Duration gap = to_gpu ? setup_.copy_in_gap : setup_.copy_out_gap;
    const TaskId task = add_task(result_.step.graph, {stream_of(kGpu, lane), kNoPool, 0, gap, pack(label)});
    wait_for(task, waited_);
    if (bytes == Bytes{}) return task;
    const Message message{to_gpu ? setup_.host : setup_.gpu, to_gpu ? setup_.gpu : setup_.host, bytes};
    add_flow(result_.step.graph, {task, task, message});
    result_.step.payload += bytes;
    return task;
  }

  // Its buffer is free once the GPU has finished with the layer that was in it: with the last of that layer's tasks,
  // as the GPU does them in order.
  TaskId add_load(const PipelineTask& task) {
    const Bytes whole = layer_weights(llm_, setup_.model.precision, task.layer % llm_.layers);
    const int64_t moved = travelling(whole, setup_.settings.resident_weights).count;
    const Bytes bytes{moved * (task.part + 1) / plan_.pages - moved * task.part / plan_.pages};
    const TaskId copy = add_copy(Lane::migration, true, task.layer, task.part, bytes);
    result_.totals.weights += bytes;
    TaskId last = kNoTask;
    for (int32_t m = 0; m < in_.micro_batches && task.layer >= plan_.buffers; ++m)
      last = std::max(last, done(PipelineWork::finish, task.layer - plan_.buffers, m));
    wait_for(copy, last);
    return copy;
  }

  Lane lane_of_activations() const { return plan_.one_queue ? Lane::migration : Lane::copy_in; }

  // Into one of two buffers: the micro-batch attends that was fetched last, while this one travels.
  TaskId add_fetch(const Piece& piece) {
    const Bytes bytes = travelling(data(piece).cache_past, setup_.settings.resident_cache);
    const TaskId copy = add_copy(lane_of_activations(), true, piece.layer, piece.micro_batch, bytes);
    result_.totals.cache_in += bytes;
    if (fetched_.size() >= 2) {
      const Piece& before = fetched_[fetched_.size() - 2];
      wait_for(copy, done(PipelineWork::attend, before.layer, before.micro_batch));
    }
    fetched_.push_back(piece);
    return copy;
  }

  TaskId add_send(const Piece& piece) {
    const AttentionData& data_of_piece = data(piece);
    const bool all = in_.receives;
    const Bytes cache = travelling(data_of_piece.cache_new, all ? 0 : setup_.settings.resident_cache);
    const Bytes query = all ? data_of_piece.query : Bytes{};
    const TaskId copy = add_copy(Lane::copy_out, false, piece.layer, piece.micro_batch, cache + query);
    result_.totals.cache_out += cache;
    result_.totals.activations_out += query;
    wait_for(copy, done(PipelineWork::project, piece.layer, piece.micro_batch));
    return copy;
  }

  TaskId add_receive(const Piece& piece) {
    const Bytes bytes = data(piece).result;
    const TaskId copy = add_copy(lane_of_activations(), true, piece.layer, piece.micro_batch, bytes);
    result_.totals.activations_in += bytes;
    wait_for(copy, done(PipelineWork::attend, piece.layer, piece.micro_batch));
    return copy;
  }

  TaskId add_kernels(Operation operation, const Piece& piece, Duration time, int32_t sms) {
    const std::vector<double>& speeds = setup_.model.gpu_speeds;
    const Duration length = speeds.empty() ? time : duration_of_seconds(time.seconds() / speeds.front());
    const int32_t units = length > Duration{} ? sms : 0;
    result_.totals.gpu += length;
    return add_task(result_.step.graph, {stream_of(kGpu, Lane::compute), units > 0 ? pool_of(kGpu) : kNoPool, units,
                                         length, pack({operation, piece.layer, piece.micro_batch})});
  }

  TaskId add_attention(const Piece& piece, const KernelCost& cost) {
    const int32_t sms = setup_.model.gpu.gpu.sms;
    const auto wanted = int32_t(std::ceil(cost.sm_fraction * sms));
    return add_kernels(Operation::attention, piece, cost.time, std::clamp(wanted, 1, sms));
  }

  TaskId add_project(const Piece& piece) {
    const AttentionCosts costs = attention_costs(gpu_, piece.layer, piece.requests);
    const TaskId task = add_attention(piece, in_sequence(std::array{costs.norm, costs.projections}));
    if (piece.layer > 0) wait_for(task, done(PipelineWork::finish, piece.layer - 1, piece.micro_batch));
    wait_for(task, done(PipelineWork::load, piece.layer, last_project_page(in_, plan_.pages, piece.layer)));
    return task;
  }

  TaskId add_attend(const Piece& piece) {
    TaskId task{};
    if (in_.receives) {
      const Duration time = cpu_attention_time(setup_.cpu, data(piece));
      const TaskLabel label{Operation::cpu_attention, piece.layer, piece.micro_batch};
      task = add_task(result_.step.graph, {stream_of(kGpu, Lane::cpu), kNoPool, 0, time, pack(label)});
      result_.totals.cpu += time;
      wait_for(task, done(PipelineWork::send, piece.layer, piece.micro_batch));
    } else {
      task = add_attention(piece, attention_costs(gpu_, piece.layer, piece.requests).attention);
      wait_for(task, done(PipelineWork::fetch, piece.layer, piece.micro_batch));
    }
    wait_for(task, done(PipelineWork::project, piece.layer, piece.micro_batch));
    return task;
  }

  // Tasks of one queue: only the first needs to be told what to wait for.
  TaskId add_finish(const Piece& piece) {
    const TaskId first = add_attention(piece, attention_costs(gpu_, piece.layer, piece.requests).output);
    const PipelineWork before = in_.receives ? PipelineWork::receive : PipelineWork::attend;
    wait_for(first, done(before, piece.layer, piece.micro_batch));
    wait_for(first, done(PipelineWork::load, piece.layer, plan_.pages - 1));
    if (moe_layer_[size_t(piece.layer)] < 0) return add_operation(Operation::dense, piece);
    const bool shared = llm_.shared_intermediate + llm_.dense_ffn_per_layer > 0;
    for (const Operation operation : {Operation::gate, Operation::experts, Operation::shared})
      if (operation != Operation::shared || shared) add_operation(operation, piece);
    return add_operation(Operation::unpermute, piece);
  }

  TaskId add_operation(Operation operation, const Piece& piece) {
    const int32_t part = piece.micro_batch;
    OperationWork work;
    work.layer = piece.layer;
    work.requests.assign(piece.requests.begin(), piece.requests.end());
    work.held_tokens = tokens_before(part + 1) - tokens_before(part);
    if (operation == Operation::experts) {
      const LayerTraffic of_part = traffic(moe_layer_[size_t(piece.layer)], part, in_.micro_batches);
      work.expert_rows = of_part.rows.front();
      work.received_copies = of_part.copies.front();
    }
    if (operation == Operation::unpermute)
      work.sent_copies = work.held_tokens * (routing_.is_counts() ? routing_.top_k : 1);
    const OperationCost cost = operation_cost(setup_.model, operation, work);
    return add_kernels(operation, piece, cost.time, cost.sms);
  }

  int64_t tokens_before(int32_t micro_batch) const { return routing_.tokens * micro_batch / in_.micro_batches; }

  const PipelineSetup& setup_;
  const LlmSpec& llm_;
  const PipelinePlan& plan_;
  PipelineInput in_;
  const StepRouting& routing_;
  const Placement& placement_;
  LlmOnGpu gpu_;
  std::vector<int32_t> moe_layer_;                        // [layer] number among the MoE layers, or -1
  std::vector<std::vector<AttentionData>> data_;          // [layer][micro-batch]
  std::array<std::vector<TaskId>, kPipelineWorks> done_;  // [work][layer * parts + part]
  std::vector<Piece> fetched_;                            // in order
  TaskId waited_ = kNoTask;                               // since when copies may begin
  PipelinedStep result_;
};

}  // namespace

int32_t micro_batches(const PipelineSettings& settings, size_t requests) {
  const auto all = int64_t(requests);
  const int64_t each = settings.micro_batch.value_or(int32_t(std::max<int64_t>(1, (all + 1) / 2)));
  return int32_t((all + each - 1) / each);
}

std::span<const Request> requests_of(const PipelineSetup& setup, int32_t micro_batch) {
  const size_t parts = size_t(micro_batches(setup.settings, setup.requests.size()));
  const size_t first = setup.requests.size() * size_t(micro_batch) / parts;
  return setup.requests.subspan(first, setup.requests.size() * (size_t(micro_batch) + 1) / parts - first);
}

Bytes layer_weights(const LlmSpec& llm, const LlmPrecision& precision, int32_t layer) {
  Bytes bytes = bytes_of(attention_parameters(llm, layer), precision.attention) +
                bytes_of(dense_parameters(llm, layer), precision.dense) +
                bytes_of(router_parameters(llm, layer), Precision::bf16);
  if (is_moe_layer(llm, layer))
    bytes += bytes_of(shared_parameters(llm), precision.dense) +
             bytes_of(llm.experts * expert_parameters(llm), precision.experts);
  return bytes;
}

Bytes travelling(Bytes whole, double resident) { return {whole.count - int64_t(double(whole.count) * resident)}; }

PipelineInput pipeline_input(const PipelineSetup& setup) {
  const LlmSpec& llm = setup.model.llm;
  const PipelineSettings& settings = setup.settings;
  PipelineInput in;
  in.layers = llm.layers;
  in.micro_batches = micro_batches(settings, setup.requests.size());
  in.streams = settings.resident_weights < 1;
  in.receives = settings.attention == AttentionPlace::cpu;
  in.fetches = !in.receives && settings.resident_cache < 1;
  in.sends = in.receives || settings.resident_cache < 1;
  for (int32_t layer = 0; layer < llm.layers; ++layer) {
    const Bytes weights = layer_weights(llm, setup.model.precision, layer);
    in.layer_weights = std::max(in.layer_weights, travelling(weights, settings.resident_weights));
    const Bytes attention = bytes_of(attention_parameters(llm, layer), setup.model.precision.attention);
    in.project_share.push_back(double(attention.count) / double(weights.count));
  }
  return in;
}

PipelinedStep build_pipelined_step(const PipelineSetup& setup, const PipelinePlan& plan, const StepRouting& routing,
                                   const Placement& placement) {
  CHECK(setup.model.layout.gpus == 1);
  return PipelineBuilder(setup, plan, routing, placement).build();
}

}  // namespace moesim
