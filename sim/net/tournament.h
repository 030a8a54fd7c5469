// The smallest of many keys that only ever grow: a tournament tree. Each node holds the winner of its two children, so
// that a key changes without a branch that depends on the keys; a heap spends most of its time on mispredicted ones.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace moesim {

class Tournament {
 public:
  struct Entry {
    double key = kOut;
    uint32_t player = 0;
    uint32_t seat = 0;
  };

  void clear() { entries_.clear(); }
  void add(uint32_t player, double key) { entries_.push_back({key, player, uint32_t(entries_.size())}); }

  // Plays all matches, once every player has been added. Ties go to the one who was added first.
  void begin() {
    seats_ = std::bit_ceil(entries_.size() + 1);
    nodes_.assign(2 * seats_, Entry{});
    for (size_t i = 0; i < entries_.size(); ++i) nodes_[seats_ + i] = entries_[i];
    for (size_t node = seats_ - 1; node > 0; --node) play(node);
  }

  // The player with the smallest key; its key is kOut when nobody is left.
  const Entry& winner() const { return nodes_[1]; }

  void set_key(uint32_t seat, double key) {
    size_t node = seats_ + seat;
    Entry best = nodes_[node];
    best.key = key;
    nodes_[node] = best;
    for (; node > 1; node /= 2) {  // the winner so far stays in registers: no match waits for the store of the last
      const Entry& other = nodes_[node ^ 1];
      const bool loses = other.key < best.key || (other.key == best.key && other.seat < best.seat);
      best.key = loses ? other.key : best.key;
      best.player = loses ? other.player : best.player;
      best.seat = loses ? other.seat : best.seat;
      nodes_[node / 2] = best;
    }
  }

  static constexpr double kOut = std::numeric_limits<double>::infinity();

 private:
  void play(size_t node) { nodes_[node] = nodes_[2 * node + size_t(nodes_[2 * node + 1].key < nodes_[2 * node].key)]; }

  std::vector<Entry> entries_;
  std::vector<Entry> nodes_;  // the root is 1, the children of n are 2n and 2n + 1; the players sit from seats_ on
  size_t seats_ = 1;
};

}  // namespace moesim
