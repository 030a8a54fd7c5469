#include "sim/comm/collective.h"

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {

std::vector<TaskId> add_collective(TaskGraph& graph, const CollectivePlan& plan, std::span<const Member> members,
                                   std::span<const uint32_t> labels, uint64_t key) {
  CHECK(labels.size() == members.size());
  CHECK(!plan.rounds.empty());
  std::vector<TaskId> last;
  for (size_t round = 0; round < plan.rounds.size(); ++round) {
    std::vector<TaskId> tasks;
    for (size_t rank = 0; rank < members.size(); ++rank) {
      const Member& member = members[rank];
      tasks.push_back(add_task(graph, {member.stream, member.pool, member.units, member.launch, labels[rank]}));
      if (round > 0)
        add_dependency(graph, last[rank], tasks[rank]);
      else
        for (const TaskId before : member.after) add_dependency(graph, before, tasks[rank]);
    }
    for (const Transfer& transfer : plan.rounds[round]) {
      if (transfer.bytes == Bytes{} || transfer.from == transfer.to) continue;
      const uint64_t flow_key = splitmix64(key ^ splitmix64(graph.flows.size()));
      const size_t from = size_t(transfer.from);
      const size_t to = size_t(transfer.to);
      const Message message{members[from].endpoint, members[to].endpoint, transfer.bytes, flow_key};
      add_flow(graph, {tasks[from], tasks[to], message});
    }
    last = std::move(tasks);
  }
  return last;
}

}  // namespace moesim
