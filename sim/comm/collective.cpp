#include "sim/comm/collective.h"

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

bool travels(const Transfer& transfer) { return transfer.bytes > Bytes{} && transfer.from != transfer.to; }

int64_t messages(const CollectivePlan& plan, const Transfer& transfer) {
  if (plan.message_max == Bytes{}) return 1;
  return (transfer.bytes.count + plan.message_max.count - 1) / plan.message_max.count;
}

// Messages of each rank in one round.
struct RoundMessages {
  std::vector<int64_t> sent;
  std::vector<int64_t> received;
  std::vector<Bytes> bytes;  // sent and received together
};

RoundMessages count_messages(const CollectivePlan& plan, size_t round, size_t ranks) {
  RoundMessages count{std::vector<int64_t>(ranks, 0), std::vector<int64_t>(ranks, 0), std::vector<Bytes>(ranks)};
  for (const Transfer& transfer : plan.rounds[round]) {
    if (!travels(transfer)) continue;
    count.sent[size_t(transfer.from)] += messages(plan, transfer);
    count.received[size_t(transfer.to)] += messages(plan, transfer);
    count.bytes[size_t(transfer.from)] += transfer.bytes;
    count.bytes[size_t(transfer.to)] += transfer.bytes;
  }
  return count;
}

}  // namespace

Bytes bytes_of(const CollectivePlan& plan) {
  Bytes sum;
  for (const auto& round : plan.rounds)
    for (const Transfer& transfer : round)
      if (travels(transfer)) sum += transfer.bytes;
  return sum;
}

void check_all_to_all(const CollectivePlan& plan, const AllToAllInput& input) {
  const size_t ranks = size_t(input.ranks);
  const bool parts = input.node_copy == NodeCopy::parts;
  std::vector<Bytes> moved(ranks);
  for (const auto& round : plan.rounds)
    for (const Transfer& transfer : round)
      if (travels(transfer)) moved[size_t(parts ? transfer.to : transfer.from)] += transfer.bytes;
  for (size_t rank = 0; rank < ranks; ++rank) {
    Bytes needed;
    for (size_t other = 0; other < ranks; ++other)
      if (other != rank) needed += input.bytes[parts ? other * ranks + rank : rank * ranks + other];
    CHECK(needed <= moved[rank]);
  }
}

CollectivePlan send_receive(int32_t from, int32_t to, Bytes bytes) {
  CollectivePlan plan;
  plan.rounds.push_back({{from, to, bytes}});
  return plan;
}

std::vector<TaskId> add_collective(TaskGraph& graph, const CollectivePlan& plan, std::span<const Member> members,
                                   std::span<const uint32_t> labels, uint64_t key) {
  CHECK(labels.size() == members.size());
  CHECK(!plan.rounds.empty());
  std::vector<TaskId> last;
  const auto add = [&](size_t rank, Duration length) {
    const Member& member = members[rank];
    const TaskId task = add_task(graph, {member.stream, member.pool, member.units, length, labels[rank]});
    if (!last.empty())
      add_dependency(graph, last[rank], task);
    else
      for (const TaskId before : member.after) add_dependency(graph, before, task);
    return task;
  };
  std::vector<int64_t> arrived(members.size(), 0);  // messages of the round before
  for (size_t round = 0; round < plan.rounds.size(); ++round) {
    RoundMessages count = count_messages(plan, round, members.size());
    std::vector<TaskId> tasks;
    for (size_t rank = 0; rank < members.size(); ++rank) {
      const SoftwareStack& stack = members[rank].stack;
      const bool takes_part = count.sent[rank] + count.received[rank] > 0;
      const Duration begin = round == 0 ? stack.launch : takes_part ? stack.round : Duration{};
      const Duration copying = stack.copy_rate ? transfer_time(count.bytes[rank], *stack.copy_rate) : Duration{};
      tasks.push_back(add(
          rank, arrived[rank] * stack.receive + begin + copying + count.sent[rank] * (stack.send + plan.message_send)));
    }
    for (const Transfer& transfer : plan.rounds[round]) {
      if (!travels(transfer)) continue;
      const uint64_t flow_key = splitmix64(key ^ splitmix64(graph.flows.size()));
      const size_t from = size_t(transfer.from);
      const size_t to = size_t(transfer.to);
      const auto end = [&](const Member& member) { return plan.by_nic ? member.nic_endpoint : member.endpoint; };
      const Message message{end(members[from]), end(members[to]), transfer.bytes, flow_key};
      add_flow(graph, {tasks[from], tasks[to], message});
    }
    last = std::move(tasks);
    arrived = std::move(count.received);
  }
  for (size_t rank = 0; rank < members.size(); ++rank) {
    const Duration receiving = arrived[rank] * members[rank].stack.receive;
    if (receiving > Duration{}) last[rank] = add(rank, receiving);
  }
  return last;
}

}  // namespace moesim
