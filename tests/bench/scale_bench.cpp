// How the flow network's time grows with hosts and with flows, exactly and within a tolerance; and the largest run, an
// all-to-all of 16,384 GPUs.
//
//   moesim_bench_scale hosts WORK HOSTS OVERSUBSCRIPTION TOLERANCE   one run of the work set, whose WORK is a2a, zipf,
//                                                                    rnd, rndz or stream
//   moesim_bench_scale errors WORK HOSTS OVERSUBSCRIPTION TOLERANCE  the same, and its errors against the exact answer
//   moesim_bench_scale growth WORK TOLERANCE                         64 to 1,024 hosts, 1:1
//   moesim_bench_scale gpus NODES TOLERANCE                          the two-level all-to-all on nodes of 8 GPUs
//   moesim_bench_scale gpu-errors NODES TOLERANCE                    the same, and its errors
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "sim/net/work_set.h"
#include "tests/support/flow_errors.h"
#include "tests/support/rail_cluster.h"

namespace moesim {
namespace {

double cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_utime.tv_sec) + 1e-6 * double(usage.ru_utime.tv_usec);
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) * 1024e-6;
}

FlowProblem work(const std::string& name, int hosts, int oversubscription) {
  const LeafSpine net(hosts, oversubscription);
  if (name == "a2a") return work_set(Workload::a2a, net);
  if (name == "zipf") return work_set(Workload::zipf, net);
  if (name == "rnd") return work_set(Workload::rnd, net);
  if (name == "rndz") return work_set(Workload::rndz, net);
  CHECK(name == "stream");
  return work_set(Workload::stream, net);
}

int run_hosts(const std::string& name, int hosts, int oversubscription, double tolerance, bool errors) {
  const FlowProblem problem = work(name, hosts, oversubscription);
  const double begin = cpu_s();
  const FlowTimes times = solve_within(problem, tolerance);
  const double taken = cpu_s() - begin;
  fmt::print(
      "{} {} {}:1 tolerance {}: flows {} cpu_s {:.3f} peak_mb {:.0f} solves {} makespan_ms {:.6f} p99_us {:.3f}\n",
      name, hosts, oversubscription, tolerance, problem.flows.size(), taken, peak_mb(), times.solves,
      times.makespan.seconds() * 1e3, completion_s(problem, times.finish, 0.99) * 1e6);
  if (!errors) return 0;
  const FlowErrors found = flow_errors(problem, solve_within(problem, 0).finish, times.finish);
  fmt::print("  errors: makespan {:.2e} p99 {:.2e} of 99 % of flows {:.2e} largest {:.2e}\n", found.makespan, found.p99,
             found.of_99, found.largest);
  return 0;
}

std::vector<float> run_gpus(int nodes, double tolerance) {
  RailCluster cluster;
  cluster.nodes = nodes;
  cluster.nics_a_leaf = std::min(64, std::max(1, nodes / 8));
  const double begin = cpu_s();
  TwoLevelAllToAll all(cluster, tolerance);
  all.run();
  fmt::print("{} GPUs tolerance {}: flows {} cpu_s {:.3f} peak_mb {:.0f} solves {} events {} makespan_ms {:.6f}\n",
             cluster.gpus(), tolerance, all.flows(), cpu_s() - begin, peak_mb(), all.network().solves(),
             all.sim().events(), all.sim().now().seconds() * 1e3);
  return all.finish_s();
}

int run_gpu_errors(int nodes, double tolerance) {
  const std::vector<float> within = run_gpus(nodes, tolerance);
  const std::vector<float> exact = run_gpus(nodes, 0);
  std::vector<double> errors;
  for (size_t flow = 0; flow < exact.size(); ++flow)
    if (exact[flow] > 0) errors.push_back(std::abs(double(within[flow]) / double(exact[flow]) - 1));
  std::sort(errors.begin(), errors.end());
  fmt::print("  errors: of 99 % of flows {:.2e} largest {:.2e}\n", errors[errors.size() * 99 / 100], errors.back());
  return 0;
}

int run(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (argc == 6 && (what == "hosts" || what == "errors"))
    return run_hosts(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atof(argv[5]), what == "errors");
  if (argc == 4 && what == "growth")
    for (int hosts = 64; hosts <= 1024; hosts *= 2) run_hosts(argv[2], hosts, 1, std::atof(argv[3]), false);
  if (argc == 4 && what == "growth") return 0;
  if (argc == 4 && what == "gpus") return run_gpus(std::atoi(argv[2]), std::atof(argv[3])), 0;
  if (argc == 4 && what == "gpu-errors") return run_gpu_errors(std::atoi(argv[2]), std::atof(argv[3]));
  fmt::print(stderr, "the first lines of tests/bench/scale_bench.cpp say what can be run\n");
  return 2;
}

}  // namespace
}  // namespace moesim

int main(int argc, char** argv) { return moesim::run(argc, argv); }
