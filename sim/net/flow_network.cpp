#include "sim/net/flow_network.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/core/check.h"

namespace moesim {
namespace {

// A certificate costs as much as a full solve, so beyond a few flows only every 64th solve is certified, and beyond
// many only so often that certificates take a small part of the time.
constexpr size_t kAlwaysCertifiedFlows = 16;
constexpr uint64_t kSolvesPerCertificate = 64;
constexpr uint64_t kFlowsPerSolve = 4;

// Flows may join the last so many times at which others enter; a collective has few different latencies.
constexpr size_t kEnteringOpen = 8;

// How many flows' room a place keeps for its next use.
constexpr size_t kEnteringKept = 64;

}  // namespace

void FlowNetwork::start(Path path, Bytes bytes, uint64_t tag) {
  const Time time = sim_.now() + path_latency(links(), path);
  const FlowId flow = flows_.insert(path, bytes, tag);
  entering_at(time).flows.push_back(flow);
}

// Those who enter at that time, if they were among the last to be begun; else an event of their own is posted.
FlowNetwork::Entering& FlowNetwork::entering_at(Time time) {
  for (const size_t place : entering_last_)
    if (entering_[place].time == time) return entering_[place];
  if (entering_free_.empty()) {
    entering_free_.push_back(entering_.size());
    entering_.emplace_back();
  }
  const size_t place = entering_free_.back();
  entering_free_.pop_back();
  if (entering_last_.size() == kEnteringOpen) entering_last_.erase(entering_last_.begin());
  entering_last_.push_back(place);
  entering_[place].time = time;
  sim_.at<&FlowNetwork::enter_all>(time, *this, uint64_t(place));
  return entering_[place];
}

void FlowNetwork::enter_all(uint64_t place) {
  std::erase(entering_last_, size_t(place));
  std::vector<FlowId> flows = std::move(entering_[place].flows);  // since entering may start others
  for (const FlowId flow : flows) enter(flow);
  if (flows.capacity() <= kEnteringKept) {
    flows.clear();
    entering_[place].flows = std::move(flows);
  }
  entering_free_.push_back(size_t(place));
}

void FlowNetwork::enter(FlowId flow) {
  const Path path = flows_.path(flow);
  const Bytes bytes = flows_[flow].bytes;
  if (path.empty() || bytes == Bytes{}) return finish_flow(flows_, flow, sim_, done_);
  ledger_.enter(path, bytes, sim_.now());
  if (recorder_ != nullptr) recorder_->enter(flow, sim_.now());
  rates_.add(flow, path, double(bytes.count));
  settle_later();
}

void FlowNetwork::set_capacity(LinkId link, Rate capacity) {
  ledger_.set_capacity(link, capacity, sim_.now());
  rates_.set_capacity(link, capacity);
  may_stall_ |= capacity == Rate{};
  if (capacity == Rate{} && detour_) reroute(link);
  settle_later();
}

void FlowNetwork::reroute(LinkId link) {
  std::set<FlowId> waiting;  // whose first byte is still on its way to the links
  for (const Entering& entering : entering_) waiting.insert(entering.flows.begin(), entering.flows.end());
  for (const FlowId flow : flows_.flows()) {
    const Path path = flows_.path(flow);
    if (std::find(path.begin(), path.end(), link) == path.end()) continue;
    const std::optional<Path> other = detour_(path, flows_[flow].sequence);
    if (!other) continue;
    if (waiting.contains(flow))
      flows_.set_path(flow, *other);
    else
      move(flow, *other);
  }
}

void FlowNetwork::move(FlowId flow, Path path) {
  const Bytes before = bytes_on_path(flow);
  // Whole bytes: one that has left in part goes again.
  const auto whole = int64_t(std::ceil(rates_.take_out(flow, sim_.now())));
  const Bytes left{std::clamp(whole, int64_t{1}, before.count)};
  leave_links(flow, before, before - left);
  moved_[flow] = left;
  flows_.set_path(flow, path);
  ledger_.enter(path, left, sim_.now());
  if (recorder_ != nullptr) recorder_->enter(flow, sim_.now());
  rates_.add(flow, path, double(left.count));
  settle_later();
}

Bytes FlowNetwork::bytes_on_path(FlowId flow) const {
  const auto moved = moved_.find(flow);
  return moved == moved_.end() ? flows_[flow].bytes : moved->second;
}

void FlowNetwork::leave_links(FlowId flow, Bytes entered, Bytes carried) {
  const Path path = flows_.path(flow);
  ledger_.abandon(path, entered, carried, sim_.now());
  if (recorder_ != nullptr) recorder_->leave(flow, path, carried, sim_.now());
  for (const LinkId link : path)
    if (ledger_.idle(link)) ledger_.check_idle(link);
}

void FlowNetwork::settle_later() {
  if (settling_) return;
  settling_ = true;
  sim_.settle<&FlowNetwork::settle>(*this);
}

void FlowNetwork::settle() {
  settling_ = false;
  rates_.solve(sim_.now());
  CHECK(rates_.live() == 0 || rates_.next_finish() < kNever || may_stall_);  // else it would never end
  if (rates_.exact()) certify();
  if (rates_.next_finish() < posted_) post(rates_.next_finish());
}

void FlowNetwork::certify() {
  const uint64_t solves_a_certificate = std::max(kSolvesPerCertificate, rates_.live() / kFlowsPerSolve);
  if (rates_.live() > kAlwaysCertifiedFlows && solves() < certified_ + solves_a_certificate) return;
  rates_.check_certificate();
  certified_ = solves();
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
    const Bytes bytes = bytes_on_path(flow);
    leave_links(flow, bytes, bytes);
    moved_.erase(flow);
  }
  settle_later();
  for (const FlowId flow : finished_) finish_flow(flows_, flow, sim_, done_);  // may start others
  finished_.clear();
}

}  // namespace moesim
