#include "sim/net/flow_table.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

FlowId FlowTable::insert(Path path, Bytes bytes, uint64_t tag) {
  CHECK(bytes.count >= 0);
  if (path.size() > hops_) lengthen_paths(path.size());
  FlowId flow{uint32_t(slots_.size())};
  if (free_ == kNone) {
    slots_.emplace_back();
    paths_.resize(paths_.size() + hops_);
  } else {
    flow = FlowId(free_);
    free_ = slots_[free_].tag;
  }
  ++live_;
  slots_[index(flow)] = {bytes, tag, started_++};
  set_path(flow, path);
  return flow;
}

void FlowTable::set_path(FlowId flow, Path path) {
  if (path.size() > hops_) lengthen_paths(path.size());
  const auto links = paths_.begin() + ptrdiff_t(index(flow) * hops_);
  std::fill(std::copy(path.begin(), path.end(), links), links + ptrdiff_t(hops_), kNoLink);
}

std::vector<FlowId> FlowTable::flows() const {
  std::vector<FlowId> flows;
  for (size_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].bytes != kFree) flows.push_back(FlowId(slot));
  return flows;
}

// Rare: when the first flow comes whose path is longer than any before.
void FlowTable::lengthen_paths(size_t hops) {
  std::vector<LinkId> paths(slots_.size() * hops, kNoLink);
  for (size_t slot = 0; slot < slots_.size(); ++slot)
    std::copy_n(paths_.begin() + ptrdiff_t(slot * hops_), hops_, paths.begin() + ptrdiff_t(slot * hops));
  paths_ = std::move(paths);
  hops_ = hops;
}

Path FlowTable::path(FlowId flow) const {
  const LinkId* links = paths_.data() + index(flow) * hops_;
  size_t length = hops_;
  while (length > 0 && links[length - 1] == kNoLink) --length;
  return {links, length};
}

Flow FlowTable::erase(FlowId flow) {
  const Flow erased = slots_[index(flow)];
  CHECK(erased.bytes != kFree);
  slots_[index(flow)] = {kFree, free_, 0};
  free_ = index(flow);
  --live_;
  return erased;
}

Duration path_latency(std::span<const Link> links, Path path) {
  Duration latency;
  for (const LinkId link : path) {
    CHECK(index(link) < links.size());
    latency += links[index(link)].latency;
  }
  return latency;
}

void finish_flow(FlowTable& flows, FlowId flow, Simulator& sim, const FlowDone& done) {
  const Flow finished = flows.erase(flow);
  sim.digest.add(sim.now().ps);
  sim.digest.add(finished.tag);
  sim.digest.add(finished.bytes.count);
  if (done.call != nullptr) done.call(done.object, finished.tag);
}

}  // namespace moesim
