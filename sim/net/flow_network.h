// The network of max-min fair fluid flows. A flow uses no bandwidth until the latencies of its links have passed, then
// shares every link of its path until its last byte leaves. Rates are exact, or within a tolerance where one is given.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/flow_rates.h"
#include "sim/net/flow_table.h"
#include "sim/net/link_ledger.h"
#include "sim/net/link_recorder.h"

namespace moesim {

struct FlowOptions {
  // By which part of itself a completion time may be off where many flows come and go at once, as in a collective; it
  // buys speed. At 0 all rates are exact.
  double rate_tolerance = 0;
};

class FlowNetwork {
 public:
  FlowNetwork(Simulator& sim, std::vector<Link> links, FlowDone done, FlowOptions options = {})
      : sim_(sim),
        options_(options),
        ledger_(std::move(links), options.rate_tolerance),
        done_(done),
        rates_(ledger_.links(), options.rate_tolerance) {}
  FlowNetwork(const FlowNetwork&) = delete;  // pending events point to it
  FlowNetwork& operator=(const FlowNetwork&) = delete;

  void start(Path path, Bytes bytes, uint64_t tag);
  LinkUse use(LinkId link) const { return ledger_.use(link, sim_.now()); }
  size_t live() const { return flows_.live(); }
  std::span<const Link> links() const { return ledger_.links(); }
  void record(LinkRecorder* recorder) { recorder_ = recorder; }

  // From now on; flows that cross the link go on at their new rates. When it is nothing, what they have not brought
  // over yet takes the detour, if there is one; without one they stay where they are.
  void set_capacity(LinkId link, Rate capacity);
  void allow_detours(Detour detour) { detour_ = std::move(detour); }

  // How often rates were solved for: once an instant at which flows entered or left, however many, or once a window of
  // completions where there is a tolerance.
  uint64_t solves() const { return rates_.solves(); }
  double rate_tolerance() const { return options_.rate_tolerance; }

 private:
  static constexpr Time kNever{std::numeric_limits<int64_t>::max()};

  // Flows that enter at the same time, by one event.
  struct Entering {
    Time time;
    std::vector<FlowId> flows;
  };

  Entering& entering_at(Time time);
  void enter_all(uint64_t entering);
  void enter(FlowId flow);
  void finish_next();
  void settle();
  void certify();
  void settle_later();
  void reroute(LinkId link);
  void move(FlowId flow, Path path);
  Bytes bytes_on_path(FlowId flow) const;
  void leave_links(FlowId flow, Bytes entered, Bytes carried);
  void post(Time time);

  Simulator& sim_;
  FlowOptions options_;
  LinkLedger ledger_;
  FlowDone done_;
  FlowTable flows_;
  LinkRecorder* recorder_ = nullptr;
  Detour detour_;
  FlowRates rates_;
  std::vector<Entering> entering_;     // places are reused
  std::vector<size_t> entering_free_;  // places that are not in use
  std::vector<size_t> entering_last_;  // the places begun last, which flows may still join
  std::vector<FlowId> finished_;       // of one instant
  Time posted_ = kNever;               // the event that counts; events posted for other times do nothing when they fire
  bool settling_ = false;
  std::map<FlowId, Bytes> moved_;  // of flows that have changed path, what the present one has to carry
  bool may_stall_ = false;         // for a link has had no capacity
  uint64_t certified_ = 0;         // solves when a certificate was last checked
};

}  // namespace moesim
