// What runs on the simulated server: graphs of tasks, collectives alone.
#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "topologies/builder.h"
#include "validation/prediction_parts.h"

namespace moesim {
namespace {

constexpr uint64_t kSeed = 1;

Topology topology_of(const PredictionModel& model, int32_t gpus) {
  NodeSpec node;
  node.gpus = gpus;
  node.nics = 0;
  if (model.gpu.scale_up) node.nvlink = *model.gpu.scale_up;
  if (model.profile.scale_up) node.nvlink = *model.profile.scale_up;
  Rng rng(kSeed);
  return PolicyChoice<TopologyBuilder>("single-node").decide({1, node}, rng);
}

CollectivePlan plan_of(const CollectiveRecord& collective, Rng& rng) {
  const int64_t ranks = collective.ranks;
  if (collective.op == "send_receive") return send_receive(0, 1, Bytes{collective.bytes});
  if (collective.op == "all_to_all") {
    std::vector<Bytes> bytes(size_t(ranks * ranks), Bytes{collective.bytes / ranks});
    for (size_t pair = 0; pair < collective.send_bytes.size(); ++pair) bytes[pair] = Bytes{collective.send_bytes[pair]};
    return PolicyChoice<AllToAllAlgorithm>("direct").decide({collective.ranks, bytes}, rng);
  }
  const auto reduction = collective.op == "all_reduce"       ? Reduction::all_reduce
                         : collective.op == "reduce_scatter" ? Reduction::reduce_scatter
                                                             : Reduction::all_gather;
  return PolicyChoice<ReductionAlgorithm>("ring").decide({reduction, collective.ranks, Bytes{collective.bytes}}, rng);
}

}  // namespace

Server::Server(const PredictionModel& model, int32_t gpus)
    : topology_(topology_of(model, gpus)), routes_(topology_, kSeed), paths_(topology_, routes_), sms_(model.gpu.sms) {}

std::vector<EndpointId> Server::endpoints() const {
  std::vector<EndpointId> endpoints;
  for (const VertexId gpu : topology_.gpus) endpoints.push_back(endpoint_of(gpu));
  return endpoints;
}

Duration Server::run(const TaskGraph& graph) {
  const size_t gpus = topology_.gpus.size();
  Simulator sim;
  MessageNetworkOptions options;
  options.network = {Fidelity::flow, 0, {}};
  Executor executor(sim, options, topology_.links, paths_, gpus * kLanes, std::vector<int32_t>(gpus, sms_));
  const GraphId id = executor.submit(graph);
  sim.run();
  CHECK(executor.finished(id));
  return sim.now() - Time{};
}

std::vector<Predicted> predict_collective(const PredictionModel& model, const CollectiveRecord& collective,
                                          Launch launch) {
  const auto known = {"send_receive", "all_to_all", "all_reduce", "reduce_scatter", "all_gather"};
  if (std::find(known.begin(), known.end(), collective.op) == known.end()) return {};
  Server server(model, collective.ranks);
  Rng rng(kSeed);
  TaskGraph graph;
  std::vector<Member> members;
  for (int32_t rank = 0; rank < collective.ranks; ++rank) {
    Member member;
    member.endpoint = member.nic_endpoint = server.endpoint(rank);
    member.stream = stream_of(GpuId(rank), Lane::compute);
    member.stack = model.profile.collectives;
    if (launch == Launch::eager)
      member.after.push_back(
          add_task(graph, {stream_of(GpuId(rank), Lane::host), kNoPool, 0, model.profile.host.issue_collective, 0}));
    members.push_back(std::move(member));
  }
  const std::vector<uint32_t> labels(members.size(), 0);
  add_collective(graph, plan_of(collective, rng), members, labels, kSeed);
  return {{"all", us_of(server.run(graph))}};
}

}  // namespace moesim
