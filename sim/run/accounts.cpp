#include "sim/run/accounts.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/run/link_use.h"
#include "sim/run/model_error.h"
#include "sim/run/names.h"
#include "traces/statistics.h"

namespace moesim {
namespace {

// A resource that is busy for this part of the critical path is what bounds the step.
constexpr double kResourceShare = 0.8;

std::string time_source(const LoadedScenario& loaded) {
  if (!loaded.profile)
    return fmt::format(
        "roofline: data sheet of {}, achieved fractions as measured on one H100 SXM; not calibrated on this "
        "GPU, so its error is not known",
        loaded.gpu.name);
  const DeviceProfile& profile = *loaded.profile;
  if (!profile.scaled_from.empty())
    return fmt::format("profile {} scaled by data sheets to {}; not measured on this GPU", profile.scaled_from,
                       loaded.gpu.name);
  return fmt::format("profile {} ({}), launches: {}", profile.name, profile.stack, name_of(loaded.scenario.launch));
}

double fraction(int64_t part, int64_t whole) { return whole == 0 ? 0 : double(part) / double(whole); }

}  // namespace

Accounts::Accounts(const LoadedScenario& loaded, const Cluster& cluster)
    : loaded_(loaded),
      cluster_(cluster),
      gpus_(size_t(cluster.layout.gpus)),
      expert_rows_(size_t(cluster.layout.gpus), 0),
      layers_(size_t(loaded.model.layers)),
      compute_(size_t(cluster.layout.gpus)),
      links_(cluster.topology.links.size()),
      link_use_(cluster.topology.links.size()) {}

void Accounts::add_step(const StepGraph& step, const Executor& executor, GraphId graph, const WorkBounds& bounds,
                        int64_t tokens, Time begin, Time end, int32_t placement_age) {
  const std::vector<TaskTimes>& times = executor.times(graph);
  tokens_ += tokens;
  bytes_sent_ = executor.bytes_sent();
  for (size_t link = 0; link < link_use_.size(); ++link) link_use_[link] = executor.link_use(LinkId(link));
  queueing_.clear();
  for (size_t link = 0; link < link_use_.size(); ++link)
    if (const auto queue = queueing(executor.network().network(), LinkId(link))) queueing_.push_back(*queue);
  total_ += end - begin;
  flows_ += int64_t(step.graph.flows.size());

  const std::vector<GpuTimes> of_step = gpu_times(step.graph, times, cluster_.layout, begin, end);
  for (size_t gpu = 0; gpu < gpus_.size(); ++gpu) {
    gpus_[gpu].idle += of_step[gpu].idle;
    for (size_t operation = 0; operation < kOperations; ++operation) {
      gpus_[gpu].exposed[operation] += of_step[gpu].exposed[operation];
      gpus_[gpu].hidden[operation] += of_step[gpu].hidden[operation];
    }
  }
  const std::vector<Duration> layer_lengths = layer_times(step.graph, times, loaded_.model.layers);
  for (size_t layer = 0; layer < layers_.size(); ++layer) layers_[layer].time_s += layer_lengths[layer].seconds();
  const double max_over_mean = add_traffic(step);
  steps_.push_back({int32_t(steps_.size()), (end - begin).seconds(), max_over_mean, placement_age});
  add_bounds(bounds);
}

double Accounts::add_traffic(const StepGraph& step) {
  const size_t gpus = gpus_.size();
  size_t moe_layer = 0;
  double sum = 0;
  for (int32_t layer = 0; layer < loaded_.model.layers; ++layer) {
    if (!is_moe_layer(loaded_.model, layer)) continue;
    const LayerTraffic& traffic = step.traffic[moe_layer++];
    LayerSums& sums = layers_[size_t(layer)];
    std::vector<int64_t> rows_of_gpu;
    std::vector<int64_t> rows_of_expert;
    for (size_t gpu = 0; gpu < gpus; ++gpu) {
      rows_of_gpu.push_back(std::accumulate(traffic.rows[gpu].begin(), traffic.rows[gpu].end(), int64_t{0}));
      expert_rows_[gpu] += rows_of_gpu.back();
      rows_of_expert.insert(rows_of_expert.end(), traffic.rows[gpu].begin(), traffic.rows[gpu].end());
    }
    sums.gpu_load_max_over_mean += max_over_mean(rows_of_gpu);
    sum += max_over_mean(rows_of_gpu);
    sums.expert_load_max_over_mean += max_over_mean(rows_of_expert);
    for (size_t from = 0; from < gpus; ++from)
      for (size_t to = 0; to < gpus; ++to) {
        const int64_t copies = traffic.copies[from * gpus + to];
        sums.copies += copies;
        if (from != to) sums.remote_copies += copies;
        if (cluster_.node_of_gpu[from] != cluster_.node_of_gpu[to]) sums.cross_node_copies += copies;
      }
  }
  return moe_layer == 0 ? 0 : sum / double(moe_layer);
}

void Accounts::add_bounds(const WorkBounds& bounds) {
  critical_path_ += bounds.critical_path;
  for (size_t gpu = 0; gpu < compute_.size(); ++gpu) {
    const Duration stream = bounds.streams[index(stream_of(GpuId(gpu), Lane::compute))];
    compute_[gpu] += std::max(stream, bounds.pools[index(pool_of(GpuId(gpu)))]);
  }
  for (size_t link = 0; link < links_.size(); ++link) links_[link] += bounds.links[link];
}

double Accounts::mean_s(Duration sum) const { return steps_.empty() ? 0 : sum.seconds() / double(steps_.size()); }

Results Accounts::results(const std::vector<MemoryResult>& memory) const {
  Results results;
  results.scenario = loaded_.scenario.name;
  results.network = name_of(loaded_.scenario.network);
  results.time_source = time_source(loaded_);
  results.gpus = cluster_.layout.gpus;
  if (total_ > Duration{}) results.tokens_per_s = double(tokens_) / (total_ + stalled_).seconds();
  results.step_time_s = mean_s(total_);
  const auto shorter = [](const StepResult& a, const StepResult& b) { return a.time_s < b.time_s; };
  if (!steps_.empty()) {
    results.step_time_min_s = std::min_element(steps_.begin(), steps_.end(), shorter)->time_s;
    results.step_time_max_s = std::max_element(steps_.begin(), steps_.end(), shorter)->time_s;
  }
  for (const GpuTimes& gpu : gpus_) results.idle_s += mean_s(gpu.idle) / double(gpus_.size());
  results.bytes_sent = bytes_sent_.count;
  results.flows = flows_;
  results.bounds = bound_result();
  results.breakdown = operation_results();
  if (loaded_.profile && !steps_.empty()) results.model_error = model_error(*loaded_.profile, results);
  results.steps = steps_;
  results.layers = layer_results();
  results.gpu_list = gpu_results(memory);
  results.links = link_results();
  int32_t moe = 0;
  for (const LayerResult& layer : results.layers) {
    results.gpu_load_max_over_mean += layer.gpu_load_max_over_mean;
    if (is_moe_layer(loaded_.model, layer.layer)) ++moe;
  }
  if (moe > 0) results.gpu_load_max_over_mean /= moe;
  return results;
}

BoundResult Accounts::bound_result() const {
  const size_t gpu = size_t(std::max_element(compute_.begin(), compute_.end()) - compute_.begin());
  const size_t link = size_t(std::max_element(links_.begin(), links_.end()) - links_.begin());
  BoundResult bounds;
  bounds.critical_path_s = mean_s(critical_path_);
  bounds.compute_s = mean_s(compute_[gpu]);
  bounds.compute_where = cluster_.gpu_names[gpu];
  if (!links_.empty()) {
    bounds.link_s = mean_s(links_[link]);
    bounds.link_where = link_name(cluster_.topology, LinkId(link));
  }
  // A chain of dependencies holds all kernels of its stream, so it is a bound of its own only where it is much longer.
  const double resource_s = std::max(bounds.compute_s, bounds.link_s);
  if (resource_s < kResourceShare * bounds.critical_path_s)
    bounds.holds = "dependencies: the longest chain of kernels and transfers";
  else
    bounds.holds =
        bounds.compute_s >= bounds.link_s ? "compute: " + bounds.compute_where : "network: " + bounds.link_where;
  return bounds;
}

std::vector<OperationResult> Accounts::operation_results() const {
  std::vector<OperationResult> results;
  for (const auto& [operation, name] : enum_names(Operation{})) {
    OperationResult result{name};
    for (const GpuTimes& gpu : gpus_) {
      const double exposed = mean_s(gpu.exposed[size_t(operation)]);
      const double hidden = mean_s(gpu.hidden[size_t(operation)]);
      result.exposed_s += exposed / double(gpus_.size());
      result.hidden_s += hidden / double(gpus_.size());
      result.busiest_gpu_s = std::max(result.busiest_gpu_s, exposed + hidden);
    }
    if (result.busiest_gpu_s > 0) results.push_back(result);
  }
  return results;
}

std::vector<LayerResult> Accounts::layer_results() const {
  std::vector<LayerResult> results;
  const double steps = std::max(1.0, double(steps_.size()));
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    const LayerSums& sums = layers_[layer];
    LayerResult result;
    result.layer = int32_t(layer);
    result.time_s = sums.time_s / steps;
    result.gpu_load_max_over_mean = sums.gpu_load_max_over_mean / steps;
    result.expert_load_max_over_mean = sums.expert_load_max_over_mean / steps;
    result.copies_per_token = tokens_ == 0 ? 0 : double(sums.copies) / double(tokens_);
    result.remote_fraction = fraction(sums.remote_copies, sums.copies);
    result.cross_node_fraction = fraction(sums.cross_node_copies, sums.copies);
    results.push_back(result);
  }
  return results;
}

std::vector<GpuResult> Accounts::gpu_results(const std::vector<MemoryResult>& memory) const {
  std::vector<GpuResult> results;
  for (size_t gpu = 0; gpu < gpus_.size(); ++gpu) {
    GpuResult result;
    result.gpu = int32_t(gpu);
    result.name = cluster_.gpu_names[gpu];
    for (const auto& [operation, name] : enum_names(Operation{})) {
      const double exposed = mean_s(gpus_[gpu].exposed[size_t(operation)]);
      const bool elsewhere = is_communication(operation) || is_on_cpu(operation);
      (elsewhere ? result.exposed_communication_s : result.compute_s) += exposed;
    }
    result.idle_s = mean_s(gpus_[gpu].idle);
    result.expert_rows = expert_rows_[gpu];
    result.memory = memory[gpu];
    results.push_back(result);
  }
  return results;
}

std::vector<LinkResult> Accounts::link_results() const {
  std::vector<LinkResult> results;
  const Topology& topology = cluster_.topology;
  for (const LinkId link : busiest_links(topology.links, link_use_)) {
    const LinkUse& use = link_use_[index(link)];
    LinkResult& result = results.emplace_back();
    result.link = link_name(topology, link);
    result.kind = name_of(topology.places[index(link)].kind);
    result.bytes = use.carried.count;
    result.busy_s = use.busy.seconds();
    result.utilisation =
        utilisation(double(use.carried.count), topology.links[index(link)].capacity, total_ + stalled_);
    result.flows_mean = flows_mean(use);
    if (queueing_.empty()) continue;
    const LinkQueueing& queue = queueing_[index(link)];
    result.queue = QueueResult{queue.queue_max.count, queue.mean_wait().seconds(), queue.drops, queue.marks};
  }
  return results;
}

}  // namespace moesim
