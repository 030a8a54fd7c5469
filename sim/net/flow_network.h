// The network of max-min fair fluid flows. A flow uses no bandwidth until the latencies of its links have passed, then
// shares every link of its path until its last byte leaves.
#pragma once

#include <limits>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/flow_table.h"
#include "sim/net/link_ledger.h"
#include "sim/net/link_recorder.h"
#include "sim/net/max_min.h"

namespace moesim {

class FlowNetwork {
 public:
  FlowNetwork(Simulator& sim, std::vector<Link> links, FlowDone done)
      : sim_(sim), ledger_(std::move(links)), done_(done), rates_(ledger_.links()) {}
  FlowNetwork(const FlowNetwork&) = delete;  // pending events point to it
  FlowNetwork& operator=(const FlowNetwork&) = delete;

  void start(Path path, Bytes bytes, uint64_t tag);
  LinkUse use(LinkId link) const { return ledger_.use(link, sim_.now()); }
  size_t live() const { return flows_.live(); }
  std::span<const Link> links() const { return ledger_.links(); }
  void record(LinkRecorder* recorder) { recorder_ = recorder; }

  // How often rates were solved for: once an instant at which flows entered or left, however many.
  uint64_t solves() const { return solves_; }

 private:
  static constexpr Time kNever{std::numeric_limits<int64_t>::max()};

  void enter(uint64_t flow);
  void finish_next();
  void settle();
  void settle_later();
  void post(Time time);

  Simulator& sim_;
  LinkLedger ledger_;
  FlowDone done_;
  FlowTable flows_;
  LinkRecorder* recorder_ = nullptr;
  MaxMin rates_;
  std::vector<FlowId> finished_;  // of one instant
  Time posted_ = kNever;          // the event that counts; events posted for other times do nothing when they fire
  bool settling_ = false;
  uint64_t solves_ = 0;
  uint64_t certified_ = 0;  // the last solve whose certificate was checked
};

}  // namespace moesim
