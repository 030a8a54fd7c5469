#include "sim/run/offload/offload.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/check.h"
#include "topologies/routed_paths.h"

namespace moesim {
namespace {

std::vector<int64_t> load_of_items(const RoutingSource& routing) {
  std::vector<int64_t> load;
  for (const std::vector<int64_t>& layer : past_load(routing)) load.insert(load.end(), layer.begin(), layer.end());
  return load;
}

const RegistryOf<CachePolicy, CacheState&, const CacheEvent&>::Entry& cache_of(const OffloadConfig& config) {
  return *Registry<CachePolicy>::instance().find(config.cache.name());
}

CopyInterference interference_of(const LoadedScenario& loaded, const ExpertCosts& costs) {
  CopyInterference both;
  both.memory = loaded.cpu.memory_bandwidth;
  both.bus = *loaded.scenario.cluster.node.pcie;
  both.cpu_reads = costs.cpu_reads();
  both.cpu_beside_copies = costs.cpu_beside_copies();
  if (loaded.profile) both.copies_beside_cpu = loaded.profile->interference.copies_beside_cpu;
  return both;
}

}  // namespace

Offload::Offload(const OffloadInput& in)
    : in_(in),
      config_(*in.loaded.scenario.offload),
      hosted_(hosted_experts(in.placement, in.cluster.layout.ep, int32_t(in.loaded.model.experts))),
      past_(past_tokens(in.routing)),
      past_load_(load_of_items(in.routing)),
      costs_(in.loaded, in.model, past_load_),
      forecasts_(in.loaded, in.cluster.layout, in.routing, in.placement) {
  for (int32_t layer = 0; layer < in.loaded.model.layers; ++layer) {
    const bool is_moe = is_moe_layer(in.loaded.model, layer);
    moe_layer_.push_back(is_moe ? int32_t(model_layer_.size()) : -1);
    if (is_moe) model_layer_.push_back(layer);
  }
  sums_.layers.resize(model_layer_.size());
  const Layout& layout = in.cluster.layout;
  if (cache_of(config_).traits.reads_future)
    future_ =
        std::make_unique<FutureUses>(in.routing, in.batch, layout, hosted_, config_.horizon, in.loaded.scenario.steps);
  shared_ = std::make_unique<OffloadShared>(OffloadShared{
      in.loaded, layout, hosted_, past_, in.sim, in.executor, costs_, forecasts_, future_.get(), sums_,
      cache_of(config_).traits.reads_forecast, interference_of(in.loaded, costs_), model_layer_, in.timeline});
  add_hosts();
  add_gpus();
  in_.executor.set_outside({&Offload::begin_task, this});
}

// What the GPU hosts has bytes, the rest none.
LevelShape Offload::shape_of(GpuId gpu) const {
  LevelShape shape;
  shape.layers = hosted_.layers;
  shape.experts = hosted_.experts;
  shape.top_k = int32_t(in_.loaded.model.top_k);
  shape.item_bytes.assign(past_load_.size(), Bytes{});
  shape.past_load = past_load_;
  for (int32_t layer = 0; layer < hosted_.layers; ++layer)
    for (const int32_t expert : hosted_.of(in_.cluster.layout, gpu, layer))
      shape.item_bytes[size_t(hosted_.item(layer, expert))] = costs_.stored(hosted_.item(layer, expert));
  return shape;
}

void Offload::add_hosts() {
  for (int32_t node = 0; node < in_.cluster.topology.nodes; ++node) {
    LevelShape of_node;
    for (size_t gpu = 0; gpu < in_.cluster.node_of_gpu.size(); ++gpu) {
      if (in_.cluster.node_of_gpu[gpu] != node) continue;
      LevelShape of_gpu = shape_of(GpuId(gpu));
      if (of_node.item_bytes.empty()) of_node = of_gpu;
      for (size_t item = 0; item < of_node.item_bytes.size(); ++item)
        of_node.item_bytes[item] = std::max(of_node.item_bytes[item], of_gpu.item_bytes[item]);
    }
    stores_.push_back(std::make_unique<HostStore>(in_.loaded, in_.memories, node, of_node, in_.sim, in_.executor,
                                                  HostClient{this, &Offload::host_ready}));
  }
  const bool in_memory = config_.cpu.in_memory;
  const size_t sockets = in_memory ? in_.cluster.topology.gpus.size() : in_.memories.sockets.size();
  for (size_t socket = 0; socket < sockets; ++socket) {
    const int32_t node = in_memory ? in_.cluster.node_of_gpu[socket] : in_.memories.sockets[socket].node;
    sockets_.push_back({std::make_unique<PacedServer>(in_.sim, PacedServer::Client{this, &Offload::cpu_done}),
                        stores_[size_t(node)].get()});
  }
}

void Offload::add_gpus() {
  const Topology& topology = in_.cluster.topology;
  for (size_t gpu = 0; gpu < topology.gpus.size(); ++gpu) {
    const size_t socket = size_t(in_.memories.socket_of_gpu[gpu]);
    const OffloadGpu::Ends ends{endpoint_of(in_.memories.sockets[socket].memory), endpoint_of(topology.gpus[gpu])};
    OffloadSocket& processor = sockets_[config_.cpu.in_memory ? gpu : socket];
    const LevelShape shape = shape_of(GpuId(gpu));
    gpus_.push_back(
        std::make_unique<OffloadGpu>(*shared_, GpuId(gpu), ends, processor, shape, room_of(GpuId(gpu), shape)));
  }
}

// What the memory plan leaves, or the part of its experts that the scenario wants there, as they are stored.
Bytes Offload::room_of(GpuId gpu, const LevelShape& shape) const {
  Bytes room{in_.memory[index(gpu)].weights_experts};
  const Bytes all = std::accumulate(shape.item_bytes.begin(), shape.item_bytes.end(), Bytes{});
  if (config_.bits && config_.resident) room = {std::llround(*config_.resident * double(all.count))};
  const Bytes largest = *std::max_element(shape.item_bytes.begin(), shape.item_bytes.end());
  if (largest == Bytes{}) return room;  // it hosts none
  const int64_t whole_items = std::min<int64_t>(config_.whole_layers, shape.layers) * shape.experts;
  const Bytes whole = std::accumulate(shape.item_bytes.begin(), shape.item_bytes.begin() + whole_items, Bytes{});
  const std::string fault = cache_fault(in_.loaded, {room, largest, whole});
  if (!fault.empty()) throw ConfigError(in_.loaded.source, {fault_at(in_.loaded.root, "/offload", fault)});
  return room;
}

void Offload::begin_step(int64_t step, const StepRouting& routing, const StepGraph& graph) {
  routing_ = &routing;
  graph_ = &graph;
  if (future_) future_->begin_step(step);
  const std::vector<int64_t> places = places_of(in_.routing, in_.batch, step);
  forecasts_.begin_step(routing, tokens_of_requests(in_.routing, in_.batch, places));
  wider_choices_ = wider_choices_of(in_.routing, in_.batch, places);
  const Layout& layout = in_.cluster.layout;
  for (size_t gpu = 0; gpu < gpus_.size(); ++gpu)
    gpus_[gpu]->begin_step(step, new_tokens(in_.batch.ranks[size_t(layout.attention_rank(GpuId(gpu)))]));
}

void Offload::begin_task(void* offload, GraphId graph, TaskId task) {
  static_cast<Offload*>(offload)->begin_layer(graph, task);
}

void Offload::begin_layer(GraphId graph, TaskId task) {
  const Task& what = graph_->graph.tasks[index(task)];
  const TaskLabel label = unpack_label(what.label);
  CHECK(label.operation == Operation::experts);
  const GpuId gpu{int32_t(what.stream) / int32_t(kLanes)};
  if (size_t(what.stream) % kLanes == size_t(Lane::host)) return gpus_[index(gpu)]->begin_host(graph, task);
  const int32_t layer = moe_layer_[size_t(label.layer)];
  const Layout& layout = in_.cluster.layout;
  add_scores(layout.expert_group(gpu), layer);
  const std::vector<Request>& requests = in_.batch.ranks[size_t(layout.attention_rank(gpu))];
  OffloadLayer begun;
  begun.graph = graph;
  begun.task = task;
  begun.layer = layer;
  begun.rows = graph_->traffic[size_t(layer)].rows[index(gpu)];
  begun.scores = scores_;
  begun.has_prefill =
      std::any_of(requests.begin(), requests.end(), [](const Request& request) { return request.new_tokens > 1; });
  begun.beside = beside(gpu, layer);
  gpus_[index(gpu)]->begin_layer(begun);
}

// What the gate gave each expert, summed over the group's tokens. Where it was not recorded, a token's first choice has
// twice the weight of its second, and so on.
void Offload::add_scores(int32_t group, int32_t layer) {
  scores_.assign(size_t(hosted_.experts), 0);
  if (routing_->is_counts()) return;
  const size_t ep = size_t(in_.cluster.layout.ep);
  const int64_t end = routing_->first_token[(size_t(group) + 1) * ep];
  for (int64_t token = routing_->first_token[size_t(group) * ep]; token < end; ++token) {
    if (!wider_choices_.empty()) {
      add_recorded_scores(in_.routing, wider_choices_[size_t(token)], layer, scores_);
      continue;
    }
    const std::span<const uint16_t> choices = routing_->choices(layer, token);
    float weight = 0.5F;
    for (size_t choice = 0; choice < choices.size(); ++choice, weight *= 0.5F)
      if (choices[choice] != kNoExpert)
        scores_[choices[choice]] += routing_->gate.empty() ? weight : routing_->weights(layer, token)[choice];
  }
}

Duration Offload::beside(GpuId gpu, int32_t layer) {
  const std::vector<int64_t>& first = routing_->first(layer);
  const LayerTraffic& traffic = graph_->traffic[size_t(layer)];
  const size_t gpus = gpus_.size();
  int64_t received = 0;
  for (size_t from = 0; from < gpus; ++from) received += traffic.copies[from * gpus + index(gpu)];
  const std::vector<int64_t>& rows = traffic.rows[index(gpu)];
  return costs_.beside(model_layer_[size_t(layer)], first[index(gpu) + 1] - first[index(gpu)], received,
                       std::accumulate(rows.begin(), rows.end(), int64_t{0}));
}

void Offload::cpu_done(void* offload, uint64_t job) {
  Offload& self = *static_cast<Offload*>(offload);
  self.gpus_[size_t(job >> 32)]->cpu_done(uint32_t(job));
}

void Offload::host_ready(void* offload, int32_t node, ExpertItem item, Bytes so_far) {
  Offload& self = *static_cast<Offload*>(offload);
  for (size_t gpu = 0; gpu < self.gpus_.size(); ++gpu)
    if (self.in_.cluster.node_of_gpu[gpu] == node) self.gpus_[gpu]->host_ready(item, so_far);
}

Bytes Offload::sent() const {
  Bytes sent;
  for (const auto& gpu : gpus_) sent += gpu->engine().sent();
  for (const auto& store : stores_) sent += store->sent();
  return sent;
}

bool Offload::copying() const {
  const auto is_active = [](const auto& gpu) { return gpu->engine().active(); };
  const auto is_reading = [](const auto& store) { return store->copying(); };
  return std::any_of(gpus_.begin(), gpus_.end(), is_active) || std::any_of(stores_.begin(), stores_.end(), is_reading);
}

}  // namespace moesim
