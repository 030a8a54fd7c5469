#include "sim/comm/collective.h"

#include <algorithm>
#include <utility>

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
  std::vector<Bytes> bytes;  // sent and received together; what is passed on counted when it came
};

RoundMessages count_messages(const CollectivePlan& plan, size_t round, size_t ranks) {
  RoundMessages count{std::vector<int64_t>(ranks, 0), std::vector<int64_t>(ranks, 0), std::vector<Bytes>(ranks)};
  for (const Transfer& transfer : plan.rounds[round]) {
    if (!travels(transfer)) continue;
    count.sent[size_t(transfer.from)] += messages(plan, transfer);
    count.received[size_t(transfer.to)] += messages(plan, transfer);
    if (!transfer.passes_on) count.bytes[size_t(transfer.from)] += transfer.bytes;
    count.bytes[size_t(transfer.to)] += transfer.bytes;
  }
  return count;
}

// What the communication kernel of a rank takes beside its messages. All ranks of a collective use one protocol.
struct Protocol {
  Duration launch;
  Duration round;
  std::optional<Rate> copy_rate;
  Bytes own;
};

std::vector<Protocol> usual_protocol(const CollectivePlan& plan, std::span<const Member> members) {
  std::vector<Protocol> of_rank;
  for (const Member& member : members)
    of_rank.push_back({member.stack.launch, member.stack.round, member.stack.copy_rate, plan.own});
  return of_rank;
}

// A kernel of small messages copies a rank's own shard while it waits for flags. Empty where a rank has none.
std::vector<Protocol> small_protocol(std::span<const Member> members) {
  std::vector<Protocol> of_rank;
  for (const Member& member : members) {
    if (!member.stack.small_messages) return {};
    const SmallMessages& small = *member.stack.small_messages;
    of_rank.push_back({small.launch, small.round, small.copy_rate, Bytes{}});
  }
  return of_rank;
}

// Before the first byte of a round leaves.
Duration kernel_time(const Protocol& protocol, size_t round, const RoundMessages& count, size_t rank) {
  const bool takes_part = count.sent[rank] + count.received[rank] > 0;
  const Duration begin = round == 0 ? protocol.launch : takes_part ? protocol.round : Duration{};
  if (!protocol.copy_rate) return begin;
  const Bytes bytes = count.bytes[rank] + (round == 0 ? protocol.own : Bytes{});
  return begin + transfer_time(bytes, *protocol.copy_rate);
}

// Of the ranks that take longest, round by round.
Duration kernel_time(const std::vector<Protocol>& of_rank, const std::vector<RoundMessages>& counts) {
  Duration sum;
  for (size_t round = 0; round < counts.size(); ++round) {
    Duration longest;
    for (size_t rank = 0; rank < of_rank.size(); ++rank)
      longest = std::max(longest, kernel_time(of_rank[rank], round, counts[round], rank));
    sum += longest;
  }
  return sum;
}

std::vector<Protocol> faster_protocol(const CollectivePlan& plan, const std::vector<RoundMessages>& counts,
                                      std::span<const Member> members) {
  std::vector<Protocol> usual = usual_protocol(plan, members);
  std::vector<Protocol> small = small_protocol(members);
  return !small.empty() && kernel_time(small, counts) < kernel_time(usual, counts) ? small : usual;
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
  plan.point_to_point = true;
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
  std::vector<RoundMessages> counts;
  for (size_t round = 0; round < plan.rounds.size(); ++round)
    counts.push_back(count_messages(plan, round, members.size()));
  const std::vector<Protocol> protocols = faster_protocol(plan, counts, members);
  std::vector<int64_t> arrived(members.size(), 0);  // messages of the round before
  for (size_t round = 0; round < plan.rounds.size(); ++round) {
    RoundMessages& count = counts[round];
    std::vector<TaskId> tasks;
    for (size_t rank = 0; rank < members.size(); ++rank) {
      const SoftwareStack& stack = members[rank].stack;
      Duration time = arrived[rank] * stack.receive + kernel_time(protocols[rank], round, count, rank);
      if (round == 0 && plan.point_to_point) time += stack.point_to_point;
      tasks.push_back(add(rank, time + count.sent[rank] * (stack.send + plan.message_send)));
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
