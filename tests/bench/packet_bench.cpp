// How fast the packet network is, in packets times links a second, on the all-to-all of the common work set of network
// simulators. Each makespan is checked against the time that the busiest host link needs.
#include <benchmark/benchmark.h>

#include "sim/net/packet_network.h"
#include "tests/support/spray_paths.h"

namespace moesim {
namespace {

void all_to_all(benchmark::State& state, const char* transport) {
  const LeafSpine net(int(state.range(0)), 1);
  const SprayPaths spray(net);
  const Bytes each{262'144};
  PacketOptions options;
  options.transport = PolicyChoice<TransportPolicy>(transport);
  uint64_t hops = 0;
  uint64_t events = 0;
  Time makespan;
  LinkQueueing queueing;
  for (auto _ : state) {
    Simulator sim;
    PacketNetwork network(sim, std::vector<Link>(size_t(net.link_count()), LeafSpine::kLink), {}, options);
    for (int from = 0; from < net.hosts; ++from)
      for (int to = 0; to < net.hosts; ++to)
        if (from != to) network.start(spray.between(net, from, to), each, 0);
    sim.run();
    if (network.live() != 0) state.SkipWithError("flows are left");
    hops += network.packet_hops();
    events += sim.events();
    makespan = sim.now();
    queueing = network.queueing();
  }
  // Each host link carries hosts - 1 messages; the last of them has two or four links of 500 ns to go.
  const double busiest_us = double(net.hosts - 1) * double(each.count) / 50e9 * 1e6 + 2;
  state.counters["makespan_us"] = makespan.seconds() * 1e6;
  state.counters["over_fluid"] = makespan.seconds() * 1e6 / busiest_us;
  state.counters["packet_hops"] = benchmark::Counter(double(hops), benchmark::Counter::kIsRate);
  state.counters["events_a_hop"] = double(events) / double(hops);
  state.counters["queue_max_KiB"] = double(queueing.queue_max.count) / 1024;
  state.counters["drops"] = double(queueing.drops);
  state.counters["trims"] = double(queueing.trims);
  state.counters["marks"] = double(queueing.marks);
}

BENCHMARK_CAPTURE(all_to_all, window, "window")->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(all_to_all, credit, "credit")->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(all_to_all, dcqcn, "dcqcn")->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
