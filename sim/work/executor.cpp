#include "sim/work/executor.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Groups items 0..n by a key below `keys`, in order: begin[k] .. begin[k + 1] are the places in the returned list.
template <class Item, class KeyOf>
std::vector<Item> group_by(size_t items, size_t keys, KeyOf key_of, std::vector<int32_t>& begin) {
  begin.assign(keys + 1, 0);
  for (size_t i = 0; i < items; ++i) ++begin[key_of(i) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<int32_t> next(begin.begin(), begin.end() - 1);
  std::vector<Item> grouped(items);
  for (size_t i = 0; i < items; ++i) grouped[size_t(next[key_of(i)]++)] = Item(i);
  return grouped;
}

}  // namespace

Executor::Executor(Simulator& sim, const MessageNetworkOptions& network, std::vector<Link> links, PathFinder& finder,
                   size_t streams, const std::vector<int32_t>& pools)
    : sim_(sim), network_(sim, std::move(links), network, finder, {&Executor::flow_done, this}), streams_(streams) {
  for (const int32_t units : pools) pools_.push_back({ProcessorPool(units)});
}

GraphId Executor::submit(const TaskGraph& graph, GraphDone done) {
  const GraphId id = free_slot();
  RunningGraph& run = running(id);
  const size_t tasks = graph.tasks.size();
  run.graph = &graph;
  run.done = done;
  run.unfinished = tasks;
  run.times.assign(tasks, {});
  run.stages.assign(tasks, Stage::waiting);
  run.dependencies_left.assign(tasks, 0);
  run.flows_left.assign(tasks, 0);

  const auto before = [&](size_t d) { return index(graph.dependencies[d].before); };
  const auto edges = group_by<int32_t>(graph.dependencies.size(), tasks, before, run.successor_begin);
  run.successors.resize(edges.size());
  for (size_t i = 0; i < edges.size(); ++i) run.successors[i] = graph.dependencies[size_t(edges[i])].after;
  for (const TaskGraph::Dependency& edge : graph.dependencies) ++run.dependencies_left[index(edge.after)];

  const auto sender = [&](size_t f) { return index(graph.flows[f].from); };
  run.flows_out = group_by<int32_t>(graph.flows.size(), tasks, sender, run.flow_begin);
  for (const TaskFlow& flow : graph.flows) {
    ++run.flows_left[index(flow.from)];
    if (flow.to != flow.from) ++run.flows_left[index(flow.to)];
  }

  for (size_t t = 0; t < tasks; ++t) streams_[index(graph.tasks[t].stream)].push_back(pack(id, t));
  for (size_t t = 0; t < tasks; ++t)
    if (run.dependencies_left[t] == 0) become_ready(id, TaskId(t));
  return id;
}

void Executor::release(GraphId graph) {
  CHECK(finished(graph));
  graphs_[index(graph)].reset();
}

GraphId Executor::free_slot() {
  const auto empty = std::find(graphs_.begin(), graphs_.end(), nullptr);
  const size_t slot = size_t(empty - graphs_.begin());
  if (empty == graphs_.end()) graphs_.emplace_back();
  graphs_[slot] = std::make_unique<RunningGraph>();
  return GraphId(slot);
}

void Executor::become_ready(GraphId id, TaskId task) {
  running(id).times[index(task)].ready = sim_.now();
  advance_stream(running(id).graph->tasks[index(task)].stream);
}

// Starts the task at the head of the stream, if it is ready and has not started.
void Executor::advance_stream(StreamId stream) {
  const std::deque<uint64_t>& queue = streams_[index(stream)];
  if (queue.empty()) return;
  const GraphId id = graph_of(queue.front());
  const size_t task = item_of(queue.front());
  RunningGraph& run = running(id);
  if (run.stages[task] == Stage::waiting && run.dependencies_left[task] == 0) start(id, TaskId(task));
}

void Executor::start(GraphId id, TaskId task) {
  RunningGraph& run = running(id);
  const Task& what = run.graph->tasks[index(task)];
  run.stages[index(task)] = Stage::working;
  run.times[index(task)].start = sim_.now();
  const uint64_t packed = pack(id, index(task));
  if (what.outside) {
    CHECK(outside_.begin != nullptr && what.units == 0);
    outside_.begin(outside_.object, id, task);
    return;
  }
  if (what.units == 0) {
    sim_.after<&Executor::worked>(what.length, *this, packed);
    return;
  }
  pools_[index(what.pool)].processors.start(sim_.now(), packed, what.units, what.length);
  post_pool(what.pool);
}

void Executor::post_pool(PoolId pool) {
  Pool& shared = pools_[index(pool)];
  const auto next = shared.processors.next_worked();
  if (!next || *next >= shared.posted) return;
  shared.posted = *next;
  sim_.at<&Executor::pool_worked>(*next, *this, index(pool));
}

void Executor::pool_worked(uint64_t pool) {
  Pool& shared = pools_[pool];
  if (sim_.now() >= shared.posted) shared.posted = Time{INT64_MAX};
  while (const auto task = shared.processors.pop_worked(sim_.now())) worked(*task);
  post_pool(PoolId(pool));
}

void Executor::worked(uint64_t packed_task) {
  const GraphId id = graph_of(packed_task);
  const size_t task = item_of(packed_task);
  RunningGraph& run = running(id);
  CHECK(run.stages[task] == Stage::working);
  run.stages[task] = Stage::sending;
  for (int32_t f = run.flow_begin[task]; f < run.flow_begin[task + 1]; ++f) {
    const size_t flow_index = size_t(run.flows_out[size_t(f)]);
    const Message& message = run.graph->flows[flow_index].message;
    bytes_sent_ += message.bytes;
    network_.send(message, pack(id, flow_index));
  }
  if (run.flows_left[task] == 0) finish(id, TaskId(task));
}

void Executor::flow_done(void* executor, uint64_t packed_flow) {
  static_cast<Executor*>(executor)->flow_arrived(packed_flow);
}

uint32_t Executor::add_sender(FlowDone done) {
  senders_.push_back(done);
  return uint32_t(senders_.size() - 1);
}

void Executor::send(const Message& message, uint32_t sender, uint32_t tag) {
  if (free_sent_.empty()) {
    free_sent_.push_back(uint32_t(sent_by_others_.size()));
    sent_by_others_.emplace_back();
  }
  const uint32_t place = free_sent_.back();
  free_sent_.pop_back();
  sent_by_others_[place] = {sender, tag, message.bytes};
  bytes_sent_ += message.bytes;
  network_.send(message, kOfOther | place);
}

void Executor::sent_arrived(size_t place) {
  const SentByOther sent = sent_by_others_[place];
  free_sent_.push_back(uint32_t(place));
  bytes_delivered_ += sent.bytes;
  sim_.digest.add(uint64_t{sent.sender} << 32 | sent.tag);
  sim_.digest.add(sim_.now().ps);
  const FlowDone& done = senders_[sent.sender];
  done.call(done.object, sent.tag);
}

void Executor::flow_arrived(uint64_t packed_flow) {
  if ((packed_flow & kOfOther) != 0) return sent_arrived(size_t(packed_flow & ~kOfOther));
  const GraphId id = graph_of(packed_flow);
  const TaskFlow& flow = running(id).graph->flows[item_of(packed_flow)];
  bytes_delivered_ += flow.message.bytes;
  count_flow(id, flow.from);
  if (flow.to != flow.from) count_flow(id, flow.to);
}

void Executor::count_flow(GraphId id, TaskId task) {
  RunningGraph& run = running(id);
  const int32_t left = --run.flows_left[index(task)];
  CHECK(left >= 0);
  if (left == 0 && run.stages[index(task)] == Stage::sending) finish(id, task);
}

void Executor::finish(GraphId id, TaskId task) {
  RunningGraph& run = running(id);
  const size_t t = index(task);
  const Task& what = run.graph->tasks[t];
  run.stages[t] = Stage::done;
  run.times[t].end = sim_.now();
  sim_.digest.add(pack(id, t));
  sim_.digest.add(sim_.now().ps);
  if (tasks_done_ != nullptr) tasks_done_->fetch_add(1, std::memory_order_relaxed);
  if (what.units > 0) {
    pools_[index(what.pool)].processors.release(sim_.now(), pack(id, t));
    post_pool(what.pool);
  }
  std::deque<uint64_t>& queue = streams_[index(what.stream)];
  CHECK(queue.front() == pack(id, t));
  queue.pop_front();

  for (int32_t s = run.successor_begin[t]; s < run.successor_begin[t + 1]; ++s) {
    const TaskId successor = run.successors[size_t(s)];
    if (--run.dependencies_left[index(successor)] == 0) become_ready(id, successor);
  }
  advance_stream(what.stream);
  if (--run.unfinished == 0 && run.done.call != nullptr) run.done.call(run.done.object, id);
}

}  // namespace moesim
