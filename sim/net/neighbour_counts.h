// How many of the flows that hang on a link cross each other link: a sparse matrix of counts, a row for each link. A
// row is one contiguous list, since it is read whole each time the level of its link changes; longer rows have a small
// hash table beside them that finds the place of a neighbour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

class NeighbourCounts {
 public:
  struct Neighbour {
    int32_t link;
    int32_t flows;  // never 0
  };

  explicit NeighbourCounts(size_t links) : rows_(links) {}

  std::span<const Neighbour> of(int32_t link) const { return rows_[size_t(link)].neighbours; }
  void add(int32_t link, int32_t neighbour);
  void remove(int32_t link, int32_t neighbour);
  void clear(int32_t link);
  void trim(int32_t link);  // gives memory back of which most is not needed any more

 private:
  struct Row {
    std::vector<Neighbour> neighbours;
    std::vector<uint32_t> slots;  // open addressing; each holds a place in `neighbours` plus one, or 0
  };

  static size_t slot_of(const Row& row, int32_t neighbour);
  static size_t find(const Row& row, int32_t neighbour);
  static void index_all(Row& row);
  static void unindex(Row& row, size_t slot);

  std::vector<Row> rows_;
};

}  // namespace moesim
