// The same flows in SimGrid, through its public S4U interface, as an independent answer and for comparing speed:
//   moesim_bench_simgrid WORKLOAD HOSTS OVERSUBSCRIPTION   prints makespan, p99 and CPU seconds of a work set case
//   moesim_bench_simgrid FILE                              prints "id finish_s" of each flow of a moe-flow-oracle-1
//   file
//
// SimGrid is set up to solve plain max-min fairness: its default lazy update exceeds link capacities when several flows
// start at one instant, so network/optim is Full and selective update is off. It weights flows by the latency of their
// route, so every route has the same latency, on a link of its own that never limits, and a factor scales it.
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <simgrid/kernel/resource/NetworkModelIntf.hpp>
#include <simgrid/s4u.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/net/flow_file.h"
#include "sim/net/work_set.h"

namespace moesim {
namespace {

namespace sg4 = simgrid::s4u;

constexpr double kRouteLatency = 1e-6;  // of every route, before the factor
constexpr double kNeverLimits = 1e15;   // bytes per second
constexpr const char* kOptions[] = {"network/model:CM02",
                                    "network/TCP-gamma:0",
                                    "network/crosstraffic:0",
                                    "network/optim:Full",
                                    "network/maxmin-selective-update:no",
                                    "surf/precision:1e-12"};

// Flows of one path share a pair of hosts, whose route it is.
struct Platform {
  std::vector<sg4::Link*> links;
  std::vector<std::pair<sg4::Host*, sg4::Host*>> ends;          // of each distinct path
  std::vector<uint32_t> path_of;                                // [flow] in `ends`
  std::unordered_map<const sg4::Link*, double> latency_factor;  // of the route that has this link of its own
};

// The k-th path leads from host k / side to host side + k % side, so that SimGrid's table of all pairs of hosts has
// only some four times as many entries as there are paths.
Platform build_platform(const FlowProblem& problem) {
  Platform platform;
  auto* zone = sg4::create_full_zone("network");
  for (size_t link = 0; link < problem.links.size(); ++link)
    platform.links.push_back(zone->create_link("link" + std::to_string(link), problem.links[link].capacity.bytes_per_s)
                                 ->set_latency(0)
                                 ->seal());
  std::map<std::vector<LinkId>, uint32_t> number_of;
  for (const TimedFlow flow : problem.flows) {
    const std::vector<LinkId> path(flow.path.begin(), flow.path.end());
    platform.path_of.push_back(number_of.emplace(path, uint32_t(number_of.size())).first->second);
  }
  const size_t side = size_t(std::ceil(std::sqrt(double(std::max<size_t>(number_of.size(), 1)))));
  std::vector<sg4::Host*> hosts;
  for (size_t host = 0; host < 2 * side; ++host)
    hosts.push_back(zone->create_host("host" + std::to_string(host), 1e9)->seal());
  platform.ends.resize(number_of.size());
  for (const auto& [path, number] : number_of) {
    auto* own = zone->create_link("route" + std::to_string(number), kNeverLimits)->set_latency(kRouteLatency)->seal();
    std::vector<sg4::LinkInRoute> route = {sg4::LinkInRoute(own)};
    double latency_s = 0;
    for (const LinkId link : path) {
      route.emplace_back(platform.links[index(link)]);
      latency_s += problem.links[index(link)].latency.seconds();
    }
    platform.latency_factor[own] = latency_s / kRouteLatency;
    auto *from = hosts[number / side], *to = hosts[side + number % side];
    platform.ends[number] = {from, to};
    zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
  }
  zone->seal();
  return platform;
}

std::vector<double> finish_s(const FlowProblem& problem, const char* program) {
  std::string name = program, quiet = "--log=root.threshold:critical";
  int count = 2;
  char* arguments[] = {name.data(), quiet.data(), nullptr};
  sg4::Engine engine(&count, arguments);
  for (const char* option : kOptions) sg4::Engine::set_config(option);
  const Platform platform = build_platform(problem);
  engine.get_netzone_root()->get_network_model()->set_lat_factor_cb(
      [&platform](double, const sg4::Host*, const sg4::Host*, const std::vector<sg4::Link*>& links,
                  const std::unordered_set<sg4::NetZone*>&) { return platform.latency_factor.at(links.front()); });

  std::vector<uint32_t> by_start(problem.flows.size());
  std::iota(by_start.begin(), by_start.end(), uint32_t{0});
  std::stable_sort(by_start.begin(), by_start.end(),
                   [&](uint32_t a, uint32_t b) { return problem.flows.start(a) < problem.flows.start(b); });
  std::vector<double> finish(problem.flows.size());
  std::vector<sg4::CommPtr> running(problem.flows.size());
  sg4::Actor::create("driver", engine.get_all_hosts().front(), [&] {
    for (const uint32_t flow : by_start) {
      sg4::this_actor::sleep_until(problem.flows.start(flow).seconds());
      const auto& [from, to] = platform.ends[platform.path_of[flow]];
      running[flow] = sg4::Comm::sendto_async(from, to, uint64_t(problem.flows.bytes(flow).count));
    }
    for (size_t flow = 0; flow < running.size(); ++flow) {
      running[flow]->wait();
      finish[flow] = running[flow]->get_finish_time();
    }
  });
  engine.run();
  return finish;
}

double cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int solve_case(char** arguments) {
  for (const auto& [workload, name] : enum_names(Workload{})) {
    if (std::string(arguments[1]) != name) continue;
    const FlowProblem problem = work_set(workload, LeafSpine(std::stoi(arguments[2]), std::stoi(arguments[3])));
    const std::vector<double> finish = finish_s(problem, arguments[0]);
    std::vector<double> taken;
    for (size_t flow = 0; flow < finish.size(); ++flow)
      taken.push_back(finish[flow] - problem.flows.start(flow).seconds());
    std::sort(taken.begin(), taken.end());
    const size_t p99 = (99 * taken.size() + 99) / 100 - 1;
    fmt::print("{{\"makespan_s\": {}, \"p99_s\": {}, \"cpu_s\": {:.2f}}}\n",
               *std::max_element(finish.begin(), finish.end()), taken[p99], cpu_s());
    return 0;
  }
  fmt::print(stderr, "unknown workload {}\n", arguments[1]);
  return 2;
}

int solve_file(char** arguments) {
  const FlowFile file = read_flow_file(std::filesystem::path(arguments[1]));
  const std::vector<double> finish = finish_s(file.problem, arguments[0]);
  for (size_t flow = 0; flow < finish.size(); ++flow) fmt::print("{} {}\n", file.flow_ids[flow], finish[flow]);
  return 0;
}

}  // namespace
}  // namespace moesim

int main(int count, char** arguments) {
  if (count == 4) return moesim::solve_case(arguments);
  if (count == 2) return moesim::solve_file(arguments);
  fmt::print(stderr, "usage: moesim_bench_simgrid WORKLOAD HOSTS OVERSUBSCRIPTION | FILE\n");
  return 2;
}
