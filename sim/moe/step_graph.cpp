#include "sim/moe/step_graph.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

// Builds the graph one operation at a time. done_[operation][gpu] is the task after which a GPU is done with it.
class StepBuilder {
 public:
  StepBuilder(const StepInput& in, Rng& rng) : in_(in), layout_(in.model.layout), rng_(rng) {
    int32_t moe_layer = 0;
    for (int32_t layer = 0; layer < in.model.llm.layers; ++layer)
      moe_layer_.push_back(is_moe_layer(in.model.llm, layer) ? moe_layer++ : -1);
    result_.traffic.resize(size_t(moe_layer));
  }

  StepGraph build() {
    for (const ScheduledOperation& step : in_.schedule) {
      if (step.operation == Operation::tp)
        done_.push_back(add_reduction(step));
      else if (step.operation == Operation::coherence)
        done_.push_back(add_coherence(step));
      else if (step.operation == Operation::dispatch || step.operation == Operation::combine)
        done_.push_back(add_all_to_all(step));
      else
        done_.push_back(add_compute(step));
    }
    return std::move(result_);
  }

 private:
  static uint32_t label(const ScheduledOperation& step) { return pack({step.operation, step.layer, step.part}); }

  std::vector<TaskId> tasks_before(const ScheduledOperation& step, GpuId gpu) const {
    std::vector<TaskId> tasks;
    for (const int32_t before : step.after) tasks.push_back(done_[size_t(before)][index(gpu)]);
    return tasks;
  }

  // Traffic of one part, computed when the part is first asked for; parts of a layer come in order of schedule.
  const LayerTraffic& traffic(const ScheduledOperation& step) {
    if (step.layer != part_layer_ || step.parts != int32_t(parts_.size())) {
      part_layer_ = step.layer;
      parts_.assign(size_t(step.parts), {});
    }
    LayerTraffic& part = parts_[size_t(step.part)];
    if (part.copies.empty()) {
      const int32_t moe_layer = moe_layer_[size_t(step.layer)];
      CopyRule rule{in_.communication.replica_choice, {}, {}};
      if (!in_.coherent.next_gpu.empty()) rule.next_gpu = in_.coherent.next_gpu[size_t(moe_layer)];
      if (!in_.communication.past_load.empty()) rule.past_load = in_.communication.past_load[size_t(moe_layer)];
      part = layer_traffic(in_.routing, in_.placement, layout_, in_.communication.token_copies, moe_layer, step.part,
                           step.parts, rule, rng_);
      add_to_whole(part, result_.traffic[size_t(moe_layer_[size_t(step.layer)])]);
    }
    return part;
  }

  static void add_to_whole(const LayerTraffic& part, LayerTraffic& whole) {
    if (whole.copies.empty()) {
      whole = part;
      return;
    }
    for (size_t pair = 0; pair < part.copies.size(); ++pair) whole.copies[pair] += part.copies[pair];
    for (size_t pair = 0; pair < part.node_copies.size(); ++pair) whole.node_copies[pair] += part.node_copies[pair];
    for (size_t gpu = 0; gpu < part.rows.size(); ++gpu)
      for (size_t slot = 0; slot < part.rows[gpu].size(); ++slot) whole.rows[gpu][slot] += part.rows[gpu][slot];
    for (size_t pair = 0; pair < part.combine_copies.size(); ++pair)
      whole.combine_copies[pair] += part.combine_copies[pair];
    for (size_t pair = 0; pair < part.combine_node_copies.size(); ++pair)
      whole.combine_node_copies[pair] += part.combine_node_copies[pair];
    whole.assignments += part.assignments;
    whole.local += part.local;
    whole.dropped += part.dropped;
  }

  int32_t next_moe_layer(int32_t layer) const {
    for (size_t next = size_t(layer); next < moe_layer_.size(); ++next)
      if (moe_layer_[next] >= 0) return moe_layer_[next];
    return int32_t(result_.traffic.size()) - 1;
  }

  // What GPU `gpu` has to do in an operation that computes.
  OperationWork work_of(const ScheduledOperation& step, GpuId gpu) {
    OperationWork work;
    work.layer = step.layer;
    const int32_t moe_layer = moe_layer_[size_t(step.layer)];
    // Where tokens do not return, those of a dense layer lie as in the next MoE layer; behind the last one, as in it.
    const int32_t lying = in_.coherent.batch_in_layer.empty() ? moe_layer : next_moe_layer(step.layer);
    const Batch& batch = in_.coherent.batch_in_layer.empty() ? in_.batch : in_.coherent.batch_in_layer[size_t(lying)];
    work.requests = batch.ranks[size_t(layout_.attention_rank(gpu))];
    const std::vector<int64_t>& first = lying < 0 ? in_.routing.first_token : in_.routing.first(lying);
    const int64_t held = first[index(gpu) + 1] - first[index(gpu)];
    work.held_tokens = held * (step.part + 1) / step.parts - held * step.part / step.parts;
    const size_t gpus = size_t(layout_.gpus);
    if (step.operation == Operation::experts) {
      const LayerTraffic& part = traffic(step);
      work.expert_rows = part.rows[index(gpu)];
      for (size_t from = 0; from < gpus; ++from) work.received_copies += part.copies[from * gpus + index(gpu)];
    }
    if (step.operation == Operation::predict && !in_.shuffle.lookups.empty())
      work.lookups = new_tokens(work.requests) * in_.shuffle.lookups[size_t(moe_layer)];
    if (step.operation == Operation::unpermute) {
      CHECK(step.parts == 1);
      const LayerTraffic& whole = result_.traffic[size_t(moe_layer_[size_t(step.layer)])];
      const std::vector<int64_t>& copies = whole.combine_copies.empty() ? whole.copies : whole.combine_copies;
      for (size_t to = 0; to < gpus; ++to) work.sent_copies += copies[index(gpu) * gpus + to];
      if (!in_.coherent.next_gpu.empty()) {
        const std::vector<int32_t>& next = in_.coherent.next_gpu[size_t(moe_layer)];
        work.held_tokens = std::count(next.begin(), next.end(), int32_t(gpu));
      }
    }
    return work;
  }

  std::vector<TaskId> add_compute(const ScheduledOperation& step) {
    std::vector<TaskId> tasks;
    for (int32_t g = 0; g < layout_.gpus; ++g) {
      const GpuId gpu{g};
      if (in_.experts_outside && step.operation == Operation::experts) {
        tasks.push_back(add_outside(step, gpu));
        continue;
      }
      OperationCost cost = operation_cost(in_.model, step.operation, work_of(step, gpu));
      if (!in_.model.gpu_speeds.empty())
        cost.time = duration_of_seconds(cost.time.seconds() / in_.model.gpu_speeds[index(gpu)]);
      const bool is_eager = in_.model.launch == Launch::eager && cost.launches > 0;
      tasks.push_back(is_eager ? add_launched(step, gpu, cost) : add_kernels(step, gpu, cost, cost.time));
    }
    return tasks;
  }

  TaskId add_outside(const ScheduledOperation& step, GpuId gpu) {
    traffic(step);  // is what the outside looks at
    if (in_.model.launch == Launch::eager) add_outside_task(step, gpu, Lane::host);
    return add_outside_task(step, gpu, step.lane);
  }

  TaskId add_outside_task(const ScheduledOperation& step, GpuId gpu, Lane lane) {
    Task task{stream_of(gpu, lane), kNoPool, 0, {}, label(step)};
    task.outside = true;
    const TaskId id = add_task(result_.graph, task);
    for (const TaskId before : tasks_before(step, gpu)) add_dependency(result_.graph, before, id);
    return id;
  }

  TaskId add_kernels(const ScheduledOperation& step, GpuId gpu, const OperationCost& cost, Duration time) {
    const int32_t units = time > Duration{} ? cost.sms : 0;
    const TaskId task = add_task(
        result_.graph, {stream_of(gpu, step.lane), units > 0 ? pool_of(gpu) : kNoPool, units, time, label(step)});
    for (const TaskId before : tasks_before(step, gpu)) add_dependency(result_.graph, before, task);
    return task;
  }

  // The host issues kernels one after another, ahead of the GPU where it can; none starts before it was issued. The
  // operation's time is spread over its kernels evenly. Returns the last.
  TaskId add_launched(const ScheduledOperation& step, GpuId gpu, const OperationCost& cost) {
    TaskId last{};
    const HostParameters& host = in_.model.host;
    if (step.operation == Operation::gate && layout_.ep > 1) add_issue(step, gpu, host.routing_in_group);
    for (int32_t launch = 0; launch < cost.launches; ++launch) {
      const TaskId issued = add_issue(step, gpu, issue_time());
      last = add_kernels(step, gpu, cost, time_of_launch(cost.time, cost.launches, launch) + host.gap);
      add_dependency(result_.graph, issued, last);
    }
    return last;
  }

  Duration issue_time() const {
    const HostParameters& host = in_.model.host;
    return layout_.gpus > 1 ? host.issue_in_group : host.issue;
  }

  TaskId add_issue(const ScheduledOperation& step, GpuId gpu, Duration time) {
    return add_task(result_.graph, {stream_of(gpu, Lane::host), kNoPool, 0, time, label(step)});
  }

  // A group of one GPU calls no collective.
  Member member(const ScheduledOperation& step, GpuId gpu, int32_t ranks) {
    Member member;
    member.endpoint = in_.communication.endpoints[index(gpu)];
    member.nic_endpoint = in_.communication.nic_endpoints[index(gpu)];
    member.stream = stream_of(gpu, step.lane);
    member.after = tasks_before(step, gpu);
    member.stack = SoftwareStack{{}, {}, {}, {}, {}};
    if (ranks == 1) return member;
    member.stack = in_.communication.stack;
    if (in_.model.launch == Launch::eager)
      member.after.push_back(add_issue(step, gpu, in_.model.host.issue_collective));
    member.units = std::min(in_.communication.sms, in_.model.gpu.gpu.sms);
    if (member.units > 0) member.pool = pool_of(gpu);
    return member;
  }

  // One collective over the GPUs [first, first + count).
  void add_group(const ScheduledOperation& step, const CollectivePlan& plan, int32_t first, int32_t count,
                 std::vector<TaskId>& done) {
    result_.payload += bytes_of(plan);
    std::vector<Member> members;
    for (int32_t rank = 0; rank < count; ++rank) members.push_back(member(step, GpuId(first + rank), count));
    const std::vector<uint32_t> labels(size_t(count), label(step));
    const auto last = add_collective(result_.graph, plan, members, labels, rng_.next());
    done.insert(done.end(), last.begin(), last.end());
  }

  // The servers of the GPUs [first, first + count).
  std::vector<int32_t> nodes_of(int32_t first, int32_t count) const {
    std::vector<int32_t> nodes;
    for (int32_t gpu = first; gpu < first + count; ++gpu) nodes.push_back(layout_.node(GpuId(gpu)));
    return nodes;
  }

  // [rank * nodes + node] for the expert group that begins at GPU `first`, whose servers follow each other.
  std::vector<Bytes> bytes_to_nodes(const std::vector<int64_t>& node_copies, int32_t first, Bytes token) const {
    std::vector<Bytes> bytes;
    for (int32_t gpu = first; gpu < first + layout_.ep; ++gpu)
      for (int32_t node = layout_.node(GpuId(first)); node <= layout_.node(GpuId(first + layout_.ep - 1)); ++node)
        bytes.push_back(node_copies[index(gpu) * size_t(layout_.nodes()) + size_t(node)] * token);
    return bytes;
  }

  std::vector<TaskId> add_all_to_all(const ScheduledOperation& step) {
    const LayerTraffic& part = traffic(step);
    const bool dispatch = step.operation == Operation::dispatch;
    const Bytes token = dispatch ? in_.communication.dispatch_token : in_.communication.combine_token;
    const bool returns = dispatch || part.combine_copies.empty();
    const std::vector<int64_t>& copies = returns ? part.copies : part.combine_copies;
    const std::vector<int64_t>& node_copies = returns ? part.node_copies : part.combine_node_copies;
    const size_t gpus = size_t(layout_.gpus);
    const size_t ep = size_t(layout_.ep);
    std::vector<TaskId> done;
    for (int32_t group = 0; group < layout_.expert_groups(); ++group) {
      const size_t first = size_t(group) * ep;
      std::vector<Bytes> bytes(ep * ep);
      for (size_t from = 0; from < ep; ++from)
        for (size_t to = 0; to < ep; ++to) {
          const int64_t pair_copies = copies[(first + from) * gpus + first + to];
          bytes[dispatch ? from * ep + to : to * ep + from] = pair_copies * token;
        }
      const std::vector<int32_t> nodes = nodes_of(int32_t(first), layout_.ep);
      const std::vector<Bytes> node_bytes = bytes_to_nodes(node_copies, int32_t(first), token);
      const AllToAllInput input{layout_.ep, bytes, nodes, node_bytes, dispatch ? NodeCopy::parts : NodeCopy::sums};
      const CollectivePlan plan = in_.communication.all_to_all.decide(input, rng_);
      check_all_to_all(plan, input);
      add_group(step, plan, int32_t(first), layout_.ep, done);
    }
    return done;
  }

  // Activations, bf16, of an attention rank as its GPUs hold them in the MoE part of a layer. Where their shares differ
  // all are as long as the longest.
  Bytes reduction_bytes(int32_t rank, int32_t layer) const {
    const int64_t tokens = new_tokens(in_.batch.ranks[size_t(rank)]);
    const int64_t value_bytes = in_.model.llm.hidden * 2;
    const int32_t moe_layer = layer < 0 ? -1 : moe_layer_[size_t(layer)];
    if (moe_layer < 0 || in_.shuffle.lookups.empty()) return {tokens * value_bytes};
    const std::vector<int64_t>& first = in_.routing.first(moe_layer);
    int64_t longest = 0;
    for (int32_t gpu = rank * layout_.tp; gpu < (rank + 1) * layout_.tp; ++gpu)
      longest = std::max(longest, first[size_t(gpu) + 1] - first[size_t(gpu)]);
    const double padded = double(longest * layout_.tp * value_bytes);
    return {int64_t(padded * (1 + in_.shuffle.overhead))};
  }

  // Before attention the ranks of a tensor-parallel group gather their tokens, after it they sum and scatter them.
  std::vector<TaskId> add_reduction(const ScheduledOperation& step) {
    const Operation before =
        step.after.empty() ? Operation::lm_head : in_.schedule[size_t(step.after.front())].operation;
    const bool after_attention = before == Operation::attention || before == Operation::predict;
    std::vector<TaskId> done;
    for (int32_t rank = 0; rank < layout_.attention_ranks(); ++rank) {
      const Bytes bytes = reduction_bytes(rank, after_attention ? step.layer : step.layer - 1);
      const auto reduction = after_attention ? Reduction::reduce_scatter : Reduction::all_gather;
      const std::vector<int32_t> nodes = nodes_of(rank * layout_.tp, layout_.tp);
      const ReductionInput input{reduction, layout_.tp, bytes, nodes};
      const CollectivePlan plan = in_.communication.reduction.decide(input, rng_);
      add_group(step, plan, rank * layout_.tp, layout_.tp, done);
    }
    return done;
  }

  // The hidden states of the step's new tokens go to all GPUs of an expert-parallel group, where a next step may need
  // them.
  std::vector<TaskId> add_coherence(const ScheduledOperation& step) {
    std::vector<TaskId> done;
    for (int32_t group = 0; group < layout_.expert_groups(); ++group) {
      const int32_t first = group * layout_.ep;
      int64_t tokens = 0;
      for (int32_t gpu = first; gpu < first + layout_.ep; ++gpu)
        tokens += new_tokens(in_.batch.ranks[size_t(layout_.attention_rank(GpuId(gpu)))]);
      const Bytes bytes{tokens * in_.model.llm.hidden * 2};
      const std::vector<int32_t> nodes = nodes_of(first, layout_.ep);
      const ReductionInput input{Reduction::all_gather, layout_.ep, bytes, nodes};
      add_group(step, in_.communication.reduction.decide(input, rng_), first, layout_.ep, done);
    }
    return done;
  }

  const StepInput& in_;
  const Layout& layout_;
  Rng& rng_;
  std::vector<int32_t> moe_layer_;  // [layer] number among the MoE layers, or -1
  std::vector<std::vector<TaskId>> done_;
  int32_t part_layer_ = -1;
  std::vector<LayerTraffic> parts_;  // of part_layer_
  StepGraph result_;
};

}  // namespace

StepGraph build_step(const StepInput& in, Rng& rng) {
  CHECK(in.model.llm.layers < 1 << 16);
  return StepBuilder(in, rng).build();
}

}  // namespace moesim
