// Which solver gives the rates: the exact one, or, where a tolerance allows it and many flows come and go at once, the
// one that batches completions. Has the interface of MaxMin, and knows no simulator.
//
// Without a tolerance every call goes to MaxMin. With one, flows go over to the batched solver when a burst makes them
// many, and back when they are few or when so little happens at a time that the exact solver is the cheaper one. Bytes
// that are left go with them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/net/batched_max_min.h"
#include "sim/net/max_min.h"

namespace moesim {

class FlowRates {
 public:
  static constexpr Time kNever = MaxMin::kNever;

  // The tolerance is a plain fraction: 0 for exact rates.
  FlowRates(std::span<const Link> links, double tolerance);

  void add(FlowId flow, Path path, double bytes);
  double take_out(FlowId flow, Time now);
  void set_capacity(LinkId link, Rate capacity);
  void solve(Time now);
  Time next_finish() const { return batching_ ? batched_->next_finish() : exact_.next_finish(); }
  void take_finished(Time now, std::vector<FlowId>& finished);
  Rate rate(FlowId flow) const;
  size_t live() const { return exact_.live() + (batched_ ? batched_->live() : 0); }

  // How often rates were solved for.
  uint64_t solves() const { return exact_solves_ + (batched_ ? batched_->solves() : 0); }

  // Whether the present rates are exact, so that they have a certificate.
  bool exact() const { return !batching_; }
  void check_certificate() const { exact_.check_certificate(); }

 private:
  // A flow of the exact solver, which knows it by the number of its slot: its memory follows the highest number.
  struct Slot {
    FlowId flow;
    std::vector<LinkId> path;
  };

  bool wants_batching() const;
  void batch(Time now);
  void unbatch(Time now);
  void add_exactly(FlowId flow, Path path, double bytes);

  MaxMin exact_;
  std::optional<BatchedMaxMin> batched_;  // where there is a tolerance; new flows wait here for the next solve
  bool batching_ = false;
  uint64_t exact_solves_ = 0;

  std::vector<Slot> slots_;
  std::vector<FlowId> free_slots_;
  std::vector<FlowId> slot_of_;  // of each flow that the exact solver has
  size_t finished_ = 0;          // flows that have ended since the last solve
  int quiet_solves_ = 0;         // batched solves in a row that changed few flows
};

}  // namespace moesim
