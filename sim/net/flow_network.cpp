#include "sim/net/flow_network.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

// A certificate costs as much as a full solve, so beyond a few flows only every 64th solve is certified, and beyond
// many only so often that certificates take a small part of the time.
constexpr size_t kAlwaysCertifiedFlows = 16;
constexpr uint64_t kSolvesPerCertificate = 64;
constexpr uint64_t kFlowsPerSolve = 4;

}  // namespace

void FlowNetwork::start(Path path, Bytes bytes, uint64_t tag) {
  const Duration latency = path_latency(links(), path);
  const FlowId flow = flows_.insert(path, bytes, tag);
  sim_.after<&FlowNetwork::enter>(latency, *this, uint64_t(flow));
}

void FlowNetwork::enter(uint64_t flow) {
  const Flow& entering = flows_[FlowId(flow)];
  if (entering.path.empty() || entering.bytes == Bytes{}) return finish_flow(flows_, FlowId(flow), sim_, done_);
  ledger_.enter(entering.path, entering.bytes, sim_.now());
  rates_.add(FlowId(flow), entering.path, entering.bytes);
  settle_later();
}

void FlowNetwork::settle_later() {
  if (settling_) return;
  settling_ = true;
  sim_.settle<&FlowNetwork::settle>(*this);
}

void FlowNetwork::settle() {
  settling_ = false;
  rates_.solve(sim_.now());
  ++solves_;
  if (rates_.live() <= kAlwaysCertifiedFlows ||
      solves_ - certified_ >= std::max(kSolvesPerCertificate, rates_.live() / kFlowsPerSolve)) {
    rates_.check_certificate();
    certified_ = solves_;
  }
  CHECK(rates_.live() == 0 || rates_.next_finish() < kNever);  // else it would never end
  if (rates_.next_finish() < posted_) post(rates_.next_finish());
}

void FlowNetwork::post(Time time) {
  posted_ = time;
  sim_.at<&FlowNetwork::finish_next>(time, *this);
}

void FlowNetwork::finish_next() {
  if (sim_.now() != posted_) return;  // an earlier event has been posted since
  posted_ = kNever;
  if (sim_.now() < rates_.next_finish()) {  // the rates have changed since
    if (rates_.next_finish() < kNever) post(rates_.next_finish());
    return;
  }
  rates_.take_finished(sim_.now(), finished_);
  std::sort(finished_.begin(), finished_.end(),
            [&](FlowId a, FlowId b) { return flows_[a].sequence < flows_[b].sequence; });
  for (const FlowId flow : finished_) {
    const Path path = flows_[flow].path;
    ledger_.leave(path, flows_[flow].bytes, sim_.now());
    for (const LinkId link : path)
      if (ledger_.idle(link)) ledger_.check_idle(link);
  }
  settle_later();
  for (const FlowId flow : finished_) finish_flow(flows_, flow, sim_, done_);  // may start others
  finished_.clear();
}

}  // namespace moesim
