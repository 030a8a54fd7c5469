// Plays collective plans byte by byte, from what each transfer says it carries. A transfer may carry only what its
// sender held when the round began; what it brings counts from the next round on.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "sim/comm/collective.h"
#include "sim/comm/rank_nodes.h"

namespace moesim {

// What a plan says it carries must be what it sends.
inline void expect_content_matches(const CollectivePlan& plan) {
  ASSERT_EQ(plan.content.size(), plan.rounds.size());
  for (size_t round = 0; round < plan.rounds.size(); ++round) {
    ASSERT_EQ(plan.content[round].size(), plan.rounds[round].size());
    for (size_t t = 0; t < plan.rounds[round].size(); ++t) {
      Bytes carried;
      for (const Piece& piece : plan.content[round][t]) carried += piece.bytes;
      ASSERT_EQ(carried, plan.rounds[round][t].bytes);
      ASSERT_NE(plan.rounds[round][t].from, plan.rounds[round][t].to);
    }
  }
}

// Calls visit(transfer, piece) for all pieces of a round.
template <class Visit>
void for_each_piece(const CollectivePlan& plan, size_t round, Visit visit) {
  for (size_t t = 0; t < plan.rounds[round].size(); ++t)
    for (const Piece& piece : plan.content[round][t]) visit(plan.rounds[round][t], piece);
}

// An all-to-all: who holds which bytes of which pair, and of which copy for a node.
class AllToAllPlayer {
 public:
  AllToAllPlayer(const AllToAllInput& in)
      : in_(in), nodes_(rank_nodes(in.ranks, in.node_of_rank)), held_(size_t(in.ranks)) {
    for (int32_t from = 0; from < in.ranks; ++from) {
      for (int32_t to = 0; to < in.ranks; ++to) hold(from, from, to).assign(size_t(bytes(from, to)), true);
      if (in.node_copy == NodeCopy::parts)
        for (int32_t node = 0; node < nodes_.nodes(); ++node)
          hold(from, from, in.ranks + node).assign(size_t(once(from, node)), true);
    }
  }

  void play(const CollectivePlan& plan) {
    for (size_t round = 0; round < plan.rounds.size(); ++round) {
      for_each_piece(plan, round, [&](const Transfer& transfer, const Piece& piece) {
        EXPECT_TRUE(may_send(transfer.from, piece)) << "round " << round << ": " << transfer.from << " has not got it";
      });
      for_each_piece(plan, round, [&](const Transfer& transfer, const Piece& piece) { receive(transfer.to, piece); });
    }
  }

  // Each rank ends with all that each other has for it, over whatever way.
  void expect_complete() {
    for (int32_t to = 0; to < in_.ranks; ++to)
      for (int32_t from = 0; from < in_.ranks; ++from) EXPECT_TRUE(has_got(to, from)) << from << " -> " << to;
  }

 private:
  using Held = std::vector<bool>;

  int64_t bytes(int32_t from, int32_t to) const {
    return in_.bytes[size_t(from) * size_t(in_.ranks) + size_t(to)].count;
  }
  // Bytes of the copy, or of the sum, between a rank and a node.
  int64_t once(int32_t rank, int32_t node) const {
    if (!in_.node_bytes.empty()) return in_.node_bytes[size_t(rank) * size_t(nodes_.nodes()) + size_t(node)].count;
    int64_t sum = 0;
    for (const int32_t other : nodes_.ranks[size_t(node)])
      sum += in_.node_copy == NodeCopy::parts ? bytes(rank, other) : bytes(other, rank);
    return sum;
  }
  Held& hold(int32_t rank, int32_t source, int32_t destination) { return held_[size_t(rank)][{source, destination}]; }
  static int64_t count(const Held& held) { return std::count(held.begin(), held.end(), true); }

  bool may_send(int32_t rank, const Piece& piece) {
    const int64_t end = piece.offset + piece.bytes.count;
    if (piece.destination >= in_.ranks && piece.adds) return has_sum(rank, piece, end);
    const Held& held = hold(rank, piece.source, piece.destination);
    if (int64_t(held.size()) >= end &&
        std::all_of(held.begin() + piece.offset, held.begin() + end, [](bool got) { return got; }))
      return true;
    if (piece.destination >= in_.ranks || in_.node_copy == NodeCopy::sums) return false;
    // A rank that has a node's copy has what each rank of the node is to get of it, as far as it has come.
    return count(hold(rank, piece.source, in_.ranks + nodes_.node[size_t(piece.destination)])) >= end;
  }

  // A sum can be sent as far as the parts that go into it have come: the same part of each, to the byte.
  bool has_sum(int32_t rank, const Piece& piece, int64_t end) {
    const int32_t node = piece.destination - in_.ranks;
    const int64_t all = once(piece.source, node);
    for (const int32_t other : nodes_.ranks[size_t(node)]) {
      const int64_t got = other == rank ? bytes(other, piece.source) : count(hold(rank, other, piece.source));
      const int64_t slack = end == all ? 0 : all;
      if (got * all < end * bytes(other, piece.source) - slack) return false;
    }
    return true;
  }

  void receive(int32_t rank, const Piece& piece) {
    Held& held = hold(rank, piece.source, piece.destination);
    const size_t end = size_t(piece.offset + piece.bytes.count);
    if (held.size() < end) held.resize(end, false);
    for (size_t byte = size_t(piece.offset); byte < end; ++byte) {
      EXPECT_FALSE(held[byte]) << "byte " << byte << " comes twice to " << rank;
      held[byte] = true;
    }
  }

  bool has_got(int32_t to, int32_t from) {
    if (count(hold(to, from, to)) == bytes(from, to)) return true;
    const int32_t own = nodes_.node[size_t(to)];
    const int32_t node = nodes_.node[size_t(from)];
    if (own == node) return false;
    if (in_.node_copy == NodeCopy::parts) return count(hold(to, from, in_.ranks + own)) == once(from, own);
    return count(hold(to, to, in_.ranks + node)) == once(to, node);  // has_sum() has checked what is in it
  }

  const AllToAllInput& in_;
  RankNodes nodes_;
  std::vector<std::map<std::pair<int32_t, int32_t>, Held>> held_;  // [rank]
};

// A reduction or broadcast: of each byte at each rank, whose contributions are in it, as a set of bits.
using Contributions = std::vector<std::vector<uint32_t>>;  // [rank][byte]

inline void play_sums(const CollectivePlan& plan, Contributions& state) {
  for (size_t round = 0; round < plan.rounds.size(); ++round) {
    const Contributions before = state;
    for_each_piece(plan, round, [&](const Transfer& transfer, const Piece& piece) {
      for (int64_t byte = piece.offset; byte < piece.offset + piece.bytes.count; ++byte) {
        const uint32_t sent = before[size_t(transfer.from)].at(size_t(byte));
        uint32_t& there = state[size_t(transfer.to)].at(size_t(byte));
        EXPECT_NE(sent, 0u) << transfer.from << " has nothing to send";
        EXPECT_TRUE(!piece.adds || (there & sent) == 0) << "added twice at " << transfer.to;
        there = piece.adds ? there | sent : sent;
      }
    });
  }
}

}  // namespace moesim
