// Runs flows over the packet network and writes down what happened.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sim/net/flow_problem.h"
#include "sim/net/packet_network.h"

namespace moesim {

inline PacketOptions with_transport(const std::string& name) {
  PacketOptions options;
  options.transport = PolicyChoice<TransportPolicy>(name);
  return options;
}

// A problem to which flows with many paths can be added.
struct PacketRun {
  PacketRun(std::vector<Link> links, const PacketOptions& options)
      : network(sim, std::move(links), {&PacketRun::done, this}, options) {}
  PacketRun(const FlowProblem& problem, const PacketOptions& options) : PacketRun(problem.links, options) {
    started = &problem.flows;
    finish.resize(problem.flows.size());
    for (size_t flow = 0; flow < problem.flows.size(); ++flow)
      sim.at<&PacketRun::start_flow>(problem.flows[flow].start, *this, flow);
    sim.run();
  }

  // Starts now. Its tag is how many there were before.
  void start(std::span<const Path> paths, Bytes bytes) {
    finish.emplace_back();
    network.start(paths, bytes, finish.size() - 1);
  }
  void start(Path path, Bytes bytes) {
    finish.emplace_back();
    network.start(path, bytes, finish.size() - 1);
  }

  Time makespan() const { return finish.empty() ? Time{} : *std::max_element(finish.begin(), finish.end()); }

  Simulator sim;
  PacketNetwork network;
  std::vector<Time> finish;  // by tag
  size_t finished = 0;

 private:
  void start_flow(uint64_t flow) { network.start((*started)[flow].path, (*started)[flow].bytes, flow); }
  static void done(void* object, uint64_t tag) {
    PacketRun& run = *static_cast<PacketRun*>(object);
    run.finish[tag] = run.sim.now();
    ++run.finished;
  }

  const FlowList* started = nullptr;
};

inline double ratio(Time a, Time b) { return a.seconds() / b.seconds(); }

}  // namespace moesim
