#include "sim/net/flow_rates.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Fewer flows than this are solved exactly; more are batched when this part of them comes or goes at one instant.
constexpr size_t kExactBelow = 8'000;
constexpr size_t kBatchFrom = 10'000;
constexpr size_t kBurstPart = 256;

// After so many solves in a row that changed less than this part of the flows, each change is solved exactly: a batched
// solve costs some 20 ns for every live flow, an exact one some 20 us for every change.
constexpr int kQuietSolves = 16;
constexpr size_t kQuietPart = 2048;

// What is handed over of a flow that has all its bytes but has not been told so.
constexpr double kBytesLeast = 1e-6;

}  // namespace

FlowRates::FlowRates(std::span<const Link> links, double tolerance) : exact_(links) {
  CHECK(tolerance >= 0);
  if (tolerance > 0) batched_.emplace(links, tolerance);
}

void FlowRates::add(FlowId flow, Path path, double bytes) {
  if (batched_)
    batched_->add(flow, path, bytes);
  else
    exact_.add(flow, path, bytes);
}

double FlowRates::take_out(FlowId flow, Time now) {
  if (!batched_) return exact_.take_out(flow, now);
  const FlowId slot = index(flow) < slot_of_.size() ? slot_of_[index(flow)] : FlowId{};
  if (index(slot) >= slots_.size() || slots_[index(slot)].flow != flow || slots_[index(slot)].path.empty())
    return batched_->take_out(flow, now);
  slots_[index(slot)].path.clear();
  free_slots_.push_back(slot);
  return exact_.take_out(slot, now);
}

void FlowRates::set_capacity(LinkId link, Rate capacity) {
  exact_.set_capacity(link, capacity);
  if (batched_) batched_->set_capacity(link, capacity);
}

void FlowRates::solve(Time now) {
  if (!batched_) {
    exact_.solve(now);
    ++exact_solves_;
    return;
  }
  const bool batching = wants_batching();
  if (batching && !batching_) batch(now);
  if (!batching) unbatch(now);
  batching_ = batching;
  if (batching_) {
    const size_t changes = finished_ + batched_->fresh();
    const uint64_t solves_before = batched_->solves();
    batched_->solve(now);
    if (batched_->solves() == solves_before) return;  // the window goes on
    quiet_solves_ = changes < live() / kQuietPart ? quiet_solves_ + 1 : 0;
  } else {
    exact_.solve(now);
    ++exact_solves_;
  }
  finished_ = 0;
}

bool FlowRates::wants_batching() const {
  const size_t changes = finished_ + batched_->fresh();
  if (!batching_) return live() >= kBatchFrom && changes >= live() / kBurstPart;
  return live() >= kExactBelow && quiet_solves_ < kQuietSolves;
}

void FlowRates::batch(Time now) {
  quiet_solves_ = 0;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    Slot& from = slots_[slot];
    if (from.path.empty()) continue;
    batched_->add(from.flow, from.path, std::max(kBytesLeast, exact_.take_out(FlowId(slot), now)));
    from.path.clear();
    free_slots_.push_back(FlowId(slot));
  }
}

// Also hands over the new flows, if the exact solver has the others already.
void FlowRates::unbatch(Time now) {
  if (batched_->live() == 0) return;
  batched_->take_all_out(now, [&](FlowId flow, Path path, double bytes) { add_exactly(flow, path, bytes); });
}

void FlowRates::add_exactly(FlowId flow, Path path, double bytes) {
  if (free_slots_.empty()) {
    free_slots_.push_back(FlowId(slots_.size()));
    slots_.emplace_back();
  }
  const FlowId slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[index(slot)].flow = flow;
  slots_[index(slot)].path.assign(path.begin(), path.end());
  if (index(flow) >= slot_of_.size()) slot_of_.resize(index(flow) + 1);
  slot_of_[index(flow)] = slot;
  exact_.add(slot, path, std::max(kBytesLeast, bytes));
}

void FlowRates::take_finished(Time now, std::vector<FlowId>& finished) {
  const size_t finished_before = finished.size();
  if (batching_) {
    batched_->take_finished(now, finished);
  } else {
    exact_.take_finished(now, finished);
    if (!batched_) return;
    for (size_t i = finished_before; i < finished.size(); ++i) {
      const FlowId slot = finished[i];
      finished[i] = slots_[index(slot)].flow;
      slots_[index(slot)].path.clear();
      free_slots_.push_back(slot);
    }
  }
  finished_ += finished.size() - finished_before;
}

Rate FlowRates::rate(FlowId flow) const {
  if (!batched_) return exact_.rate(flow);
  if (batching_) return batched_->rate(flow);
  const FlowId slot = index(flow) < slot_of_.size() ? slot_of_[index(flow)] : FlowId{};
  const bool there =
      index(slot) < slots_.size() && slots_[index(slot)].flow == flow && !slots_[index(slot)].path.empty();
  return there ? exact_.rate(slot) : Rate{};
}

}  // namespace moesim
