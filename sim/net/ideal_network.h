// The network without contention: a transfer takes its latency and its bytes over the narrowest link of its path.
#pragma once

#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/flow_table.h"
#include "sim/net/link_ledger.h"
#include "sim/net/link_recorder.h"

namespace moesim {

class IdealNetwork {
 public:
  IdealNetwork(Simulator& sim, std::vector<Link> links, FlowDone done)
      : sim_(sim), ledger_(std::move(links)), done_(done) {}
  IdealNetwork(const IdealNetwork&) = delete;  // pending events point to it
  IdealNetwork& operator=(const IdealNetwork&) = delete;

  void start(Path path, Bytes bytes, uint64_t tag);
  LinkUse use(LinkId link) const { return ledger_.use(link, sim_.now()); }
  size_t live() const { return flows_.live(); }
  std::span<const Link> links() const { return ledger_.links(); }
  void record(LinkRecorder* recorder) { recorder_ = recorder; }

 private:
  void enter(uint64_t flow);
  void leave(uint64_t flow);

  Simulator& sim_;
  LinkLedger ledger_;
  FlowDone done_;
  FlowTable flows_;
  LinkRecorder* recorder_ = nullptr;
};

}  // namespace moesim
