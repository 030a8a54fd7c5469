#include "sim/net/flow_problem.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Starts each flow when it is due and writes down when it is done.
class FlowDriver {
 public:
  FlowDriver(const FlowProblem& problem, Fidelity fidelity)
      : problem_(problem), network_(make_network({fidelity}, sim_, problem.links, {&FlowDriver::done, this})) {
    times_.finish.resize(problem.flows.size());
  }

  FlowTimes run() {
    for (size_t flow = 0; flow < problem_.flows.size(); ++flow)
      sim_.at<&FlowDriver::start_flow>(problem_.flows[flow].start, *this, flow);
    sim_.run();
    CHECK(live(network_) == 0);
    CHECK(done_ == problem_.flows.size());
    for (size_t link = 0; link < problem_.links.size(); ++link) times_.use.push_back(use(network_, LinkId(link)));
    times_.digest = sim_.digest.value();
    return times_;
  }

 private:
  void start_flow(uint64_t flow) { start(network_, problem_.flows[flow].path, problem_.flows[flow].bytes, flow); }

  static void done(void* object, uint64_t flow) {
    FlowDriver& driver = *static_cast<FlowDriver*>(object);
    driver.times_.finish[flow] = driver.sim_.now();
    driver.times_.makespan = std::max(driver.times_.makespan, driver.sim_.now());
    ++driver.done_;
  }

  const FlowProblem& problem_;
  Simulator sim_;
  Network network_;
  FlowTimes times_;
  size_t done_ = 0;
};

}  // namespace

FlowTimes solve_flows(const FlowProblem& problem, Fidelity fidelity) { return FlowDriver(problem, fidelity).run(); }

}  // namespace moesim
