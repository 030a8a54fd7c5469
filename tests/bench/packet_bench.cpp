// How fast the packet network is, in packets times links a second, on the all-to-all of the common work set of network
// simulators. Each makespan is checked against the time that the busiest host link needs.
#include <benchmark/benchmark.h>

#include "sim/net/packet_network.h"
#include "sim/net/work_set.h"

namespace moesim {
namespace {

// Every path between two hosts, one over each spine.
struct SprayPaths {
  explicit SprayPaths(const LeafSpine& net) {
    for (int from = 0; from < net.hosts; ++from)
      for (int to = 0; to < net.hosts; ++to) add(net, from, to);
    // Only now, since the links have moved while there came more.
    size_t begin = 0;
    for (size_t i = 0; i < lengths.size(); begin += lengths[i++]) paths.emplace_back(links.data() + begin, lengths[i]);
  }
  std::span<const Path> between(const LeafSpine& net, int from, int to) const {
    const size_t pair = size_t(from) * size_t(net.hosts) + size_t(to);
    return {paths.data() + first[pair], first[pair + 1] - first[pair]};
  }

  std::vector<Path> paths;
  std::vector<size_t> first{0};  // of each pair, and the end

 private:
  void add(const LeafSpine& net, int from, int to) {
    const int from_leaf = from / net.hosts_a_leaf;
    const int to_leaf = to / net.hosts_a_leaf;
    const int ways = from == to ? 0 : from_leaf == to_leaf ? 1 : net.spines;
    for (int spine = 0; spine < ways; ++spine) {
      links.push_back(LinkId(from));
      if (ways > 1) links.push_back(LinkId(2 * net.hosts + from_leaf * net.spines + spine));
      if (ways > 1) links.push_back(LinkId(2 * net.hosts + net.leaves * net.spines + spine * net.leaves + to_leaf));
      links.push_back(LinkId(net.hosts + to));
      lengths.push_back(ways > 1 ? 4 : 2);
    }
    first.push_back(first.back() + size_t(ways));
  }

  std::vector<LinkId> links;
  std::vector<size_t> lengths;
};

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
