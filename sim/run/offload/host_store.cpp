#include "sim/run/offload/host_store.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "topologies/routed_paths.h"

namespace moesim {

HostStore::HostStore(const LoadedScenario& loaded, const HostMemories& memories, int32_t node, const LevelShape& shape,
                     Simulator& sim, Executor& executor, HostClient client)
    : loaded_(loaded), node_(node), item_bytes_(shape.item_bytes), client_(client) {
  const OffloadConfig& config = *loaded.scenario.offload;
  const auto is_ours = [&](const HostMemories::Socket& socket) { return socket.node == node; };
  const auto socket = std::find_if(memories.sockets.begin(), memories.sockets.end(), is_ours);
  EndpointId to = endpoint_of(socket->memory);
  for (size_t level = 0; level < config.tiers.size(); ++level) {
    auto hop = std::make_unique<Hop>();
    LevelShape held = shape;
    divide_level(held, level == 0 ? *config.host_memory : *config.tiers[level - 1].capacity, CachePartition::global, 0);
    const std::string stream = fmt::format("host cache {} {}", node, level);
    hop->cache =
        std::make_unique<ExpertLevel>(std::move(held), config.host_cache, Rng::stream(loaded.scenario.seed, stream));
    if (config.warm) hop->cache->fill_by_popularity();
    hop->store = this;
    hop->level = level;
    hop->from = endpoint_of(memories.tiers[size_t(node)][level]);
    hop->to = to;
    to = hop->from;
    const size_t items = shape.item_bytes.size();
    hop->copy.resize(items);
    hop->under_way.assign(items, 0);
    hop->urgency.assign(items, 0);
    hop->so_far.assign(items, {});
    hop->engine = std::make_unique<CopyEngine>(sim, executor, CopyOptions{config.chunk, {}, {}},
                                               CopyClient{hop.get(), &HostStore::admit, &HostStore::arrived});
    hops_.push_back(std::move(hop));
  }
}

Bytes HostStore::ready(ExpertItem item) const { return at_level(0, item); }

Bytes HostStore::at_level(size_t level, ExpertItem item) const {
  if (level == hops_.size() || hops_[level]->cache->present(item)) return item_bytes_[size_t(item)];
  return hops_[level]->under_way[size_t(item)] != 0 ? hops_[level]->so_far[size_t(item)] : Bytes{};
}

void HostStore::want(ExpertItem item, int64_t urgency) { bring(0, item, urgency); }

void HostStore::hurry(ExpertItem item, int64_t urgency) {
  for (const auto& hop : hops_) {
    if (hop->under_way[size_t(item)] == 0) return;
    int64_t& present = hop->urgency[size_t(item)];
    if (urgency < present) hop->engine->set_urgency(hop->copy[size_t(item)], present = urgency);
  }
}

void HostStore::let_go(ExpertItem item, bool was_read) {
  if (was_read) read_ += item_bytes_[size_t(item)];
  release(0, item);
}

void HostStore::release(size_t level, ExpertItem item) {
  if (level == hops_.size()) return;
  Hop& hop = *hops_[level];
  hop.cache->unpin(item);
  const bool waits = hop.under_way[size_t(item)] != 0 && !hop.cache->pinned(item);
  if (waits && hop.engine->cancel(hop.copy[size_t(item)])) {
    hop.under_way[size_t(item)] = 0;
    release(level + 1, item);
  }
  hop.engine->retry();
}

// Pins it at the level, and sees to it that it comes.
void HostStore::bring(size_t level, ExpertItem item, int64_t urgency) {
  if (level == hops_.size()) return;
  Hop& hop = *hops_[level];
  hop.cache->pin(item);
  hop.cache->access(item, item / hop.cache->shape().experts);
  ++hop.asked;
  if (hop.cache->present(item)) {
    ++hop.found;
    return;
  }
  if (hop.under_way[size_t(item)] != 0) return hurry(item, urgency);
  hop.under_way[size_t(item)] = 1;
  hop.urgency[size_t(item)] = urgency;
  hop.so_far[size_t(item)] = {};
  bring(level + 1, item, urgency);
  hop.copy[size_t(item)] = hop.engine->submit(
      {hop.from, hop.to, item_bytes_[size_t(item)], urgency, at_level(level + 1, item), uint64_t(item)});
}

bool HostStore::admit(void* hop, uint64_t item) {
  Hop& to = *static_cast<Hop*>(hop);
  return to.cache->reserve(ExpertItem(item), false, int32_t(item) / to.cache->shape().experts, {});
}

void HostStore::arrived(void* hop, uint64_t item, Bytes so_far) {
  Hop& to = *static_cast<Hop*>(hop);
  to.store->chunk(to, ExpertItem(item), so_far);
}

void HostStore::chunk(Hop& hop, ExpertItem item, Bytes so_far) {
  const Bytes bytes = item_bytes_[size_t(item)];
  hop.so_far[size_t(item)] = so_far;
  if (so_far == bytes) {
    hop.cache->arrived(item);
    hop.under_way[size_t(item)] = 0;
    release(hop.level + 1, item);
    hop.engine->retry();
  }
  if (hop.level > 0 && hops_[hop.level - 1]->under_way[size_t(item)] != 0)
    hops_[hop.level - 1]->engine->feed(hops_[hop.level - 1]->copy[size_t(item)], so_far);
  if (hop.level == 0) client_.ready(client_.object, node_, item, so_far);
}

Bytes HostStore::sent() const {
  Bytes sent;
  for (const auto& hop : hops_) sent += hop->engine->sent();
  return sent;
}

bool HostStore::copying() const {
  return std::any_of(hops_.begin(), hops_.end(), [](const auto& hop) { return hop->engine->active(); });
}

std::vector<OffloadTierResult> HostStore::results() const {
  const OffloadConfig& config = *loaded_.scenario.offload;
  std::vector<OffloadTierResult> results;
  for (size_t level = 0; level <= hops_.size(); ++level) {
    OffloadTierResult result;
    result.tier = level == 0 ? "host" : config.tiers[level - 1].name;
    result.hit_rate = 1;
    if (level < hops_.size()) {
      const Hop& hop = *hops_[level];
      result.hit_rate = hop.asked == 0 ? 1 : double(hop.found) / double(hop.asked);
    }
    // A level is read by the copies that fill the one above; host memory by those who want experts.
    result.bytes = level == 0 ? read_.count : hops_[level - 1]->engine->carried().count;
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace moesim
