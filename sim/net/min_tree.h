// The smallest of many keys, of which some change between one question and the next. A tree of blocks of eight; a key
// that changes only notes its block, and refresh() plays the noted blocks again, each once, level by level. So where
// half of the keys change at once, it costs little more than to look at each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace moesim {

class MinTree {
 public:
  static constexpr int64_t kOut = std::numeric_limits<int64_t>::max();

  explicit MinTree(size_t players) {
    do {
      const size_t blocks = (players + kBlock - 1) / kBlock;
      floors_.push_back({std::vector<int64_t>(std::max(blocks, size_t{1}) * kBlock, kOut),
                         std::vector<uint8_t>(std::max(blocks, size_t{1})),
                         {}});
      players = blocks;
    } while (players > 1);
  }

  int64_t key(size_t player) const { return floors_[0].keys[player]; }

  void set(size_t player, int64_t key) { put(0, player, key); }

  void refresh() {
    for (size_t f = 0; f < floors_.size(); ++f) {
      Floor& floor = floors_[f];
      for (const uint32_t block : floor.changed) {
        floor.is_changed[block] = false;
        const int64_t least = least_of(floor.keys.data() + size_t{block} * kBlock);
        if (f + 1 < floors_.size())
          put(f + 1, block, least);
        else
          least_ = least;
      }
      floor.changed.clear();
    }
  }

  // The smallest key at the last refresh().
  int64_t least() const { return least_; }

  // Calls visit(player) for all whose key is at most that; visit may set keys.
  template <class Visit>
  void visit_up_to(int64_t key, Visit visit) {
    descend(floors_.size() - 1, 0, key, visit);
  }

 private:
  static constexpr size_t kBlock = 8;

  struct Floor {
    std::vector<int64_t> keys;        // of the players, or the least of each block of the floor below
    std::vector<uint8_t> is_changed;  // of each block
    std::vector<uint32_t> changed;    // the blocks that are
  };

  void put(size_t f, size_t place, int64_t key) {
    Floor& floor = floors_[f];
    if (floor.keys[place] == key) return;
    floor.keys[place] = key;
    const size_t block = place / kBlock;
    if (floor.is_changed[block]) return;
    floor.is_changed[block] = true;
    floor.changed.push_back(uint32_t(block));
  }

  static int64_t least_of(const int64_t* k) {  // as a tree: no comparison waits for more than two others
    return std::min(std::min(std::min(k[0], k[1]), std::min(k[2], k[3])),
                    std::min(std::min(k[4], k[5]), std::min(k[6], k[7])));
  }

  template <class Visit>
  void descend(size_t f, size_t block, int64_t key, Visit& visit) {
    for (size_t place = block * kBlock; place < (block + 1) * kBlock; ++place) {
      if (floors_[f].keys[place] > key || floors_[f].keys[place] == kOut) continue;
      if (f == 0)
        visit(place);
      else
        descend(f - 1, place, key, visit);
    }
  }

  std::vector<Floor> floors_;
  int64_t least_ = kOut;
};

}  // namespace moesim
