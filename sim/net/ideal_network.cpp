#include "sim/net/ideal_network.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

void IdealNetwork::start(Path path, Bytes bytes, uint64_t tag) {
  const Duration latency = path_latency(links(), path);
  const FlowId flow = flows_.insert(path, bytes, tag);
  sim_.after<&IdealNetwork::enter>(latency, *this, uint64_t(flow));
}

void IdealNetwork::enter(uint64_t flow) {
  const Path path = flows_.path(FlowId(flow));
  const Bytes bytes = flows_[FlowId(flow)].bytes;
  Duration transfer;
  for (const LinkId link : path) transfer = std::max(transfer, transfer_time(bytes, links()[index(link)].capacity));
  ledger_.enter(path, bytes, sim_.now());
  if (recorder_ != nullptr) recorder_->enter(FlowId(flow), sim_.now());
  sim_.after<&IdealNetwork::leave>(transfer, *this, flow);
}

void IdealNetwork::leave(uint64_t flow) {
  const Path path = flows_.path(FlowId(flow));
  const Bytes bytes = flows_[FlowId(flow)].bytes;
  ledger_.leave(path, bytes, sim_.now());
  if (recorder_ != nullptr) recorder_->leave(FlowId(flow), path, bytes, sim_.now());
  finish_flow(flows_, FlowId(flow), sim_, done_);
}

}  // namespace moesim
