#include "sim/net/flow_table.h"

#include "sim/core/check.h"

namespace moesim {

FlowId FlowTable::insert(Path path, Bytes bytes, uint64_t tag) {
  CHECK(bytes.count >= 0);
  if (free_.empty()) {
    free_.push_back(FlowId(slots_.size()));
    slots_.emplace_back();
  }
  const FlowId flow = free_.back();
  free_.pop_back();
  slots_[index(flow)] = {path, bytes, tag, started_++};
  return flow;
}

Flow FlowTable::erase(FlowId flow) {
  free_.push_back(flow);
  return slots_[index(flow)];
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
