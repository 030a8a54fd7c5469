#include "sim/net/neighbour_counts.h"

#include "sim/core/check.h"

namespace moesim {
namespace {

// Rows up to this long are searched from end to end.
constexpr size_t kScanned = 16;

size_t home_of(int32_t neighbour, size_t slots) { return (uint32_t(neighbour) * 0x9E3779B1u >> 7) & (slots - 1); }

}  // namespace

// The slot that points to the neighbour, or the free one where it would stand.
size_t NeighbourCounts::slot_of(const Row& row, int32_t neighbour) {
  size_t slot = home_of(neighbour, row.slots.size());
  while (row.slots[slot] != 0 && row.neighbours[row.slots[slot] - 1].link != neighbour)
    slot = (slot + 1) & (row.slots.size() - 1);
  return slot;
}

// The place of the neighbour in the row, or the row's length.
size_t NeighbourCounts::find(const Row& row, int32_t neighbour) {
  if (!row.slots.empty()) {
    const uint32_t place_plus_one = row.slots[slot_of(row, neighbour)];
    return place_plus_one == 0 ? row.neighbours.size() : place_plus_one - 1;
  }
  size_t place = 0;
  while (place < row.neighbours.size() && row.neighbours[place].link != neighbour) ++place;
  return place;
}

void NeighbourCounts::index_all(Row& row) {
  size_t slots = 2 * kScanned;
  while (2 * slots < 3 * row.neighbours.size()) slots *= 2;
  row.slots.assign(slots, 0);
  for (size_t place = 0; place < row.neighbours.size(); ++place)
    row.slots[slot_of(row, row.neighbours[place].link)] = uint32_t(place + 1);
}

void NeighbourCounts::add(int32_t link, int32_t neighbour) {
  Row& row = rows_[size_t(link)];
  const size_t place = find(row, neighbour);
  if (place < row.neighbours.size()) {
    ++row.neighbours[place].flows;
    return;
  }
  row.neighbours.push_back({neighbour, 1});
  if (row.slots.empty() ? row.neighbours.size() > kScanned : 4 * row.neighbours.size() > 3 * row.slots.size())
    index_all(row);
  else if (!row.slots.empty())
    row.slots[slot_of(row, neighbour)] = uint32_t(row.neighbours.size());
}

void NeighbourCounts::remove(int32_t link, int32_t neighbour) {
  Row& row = rows_[size_t(link)];
  const size_t place = find(row, neighbour);
  CHECK(place < row.neighbours.size());
  if (--row.neighbours[place].flows > 0) return;
  const Neighbour last = row.neighbours.back();
  if (!row.slots.empty()) {
    const size_t slot = slot_of(row, neighbour);
    row.slots[slot_of(row, last.link)] = uint32_t(place + 1);
    if (last.link != neighbour) row.neighbours[place] = last;  // before unindex(), which looks at neighbours
    row.neighbours.back().link = neighbour;
    unindex(row, slot);
  } else {
    row.neighbours[place] = last;
  }
  row.neighbours.pop_back();
}

// Frees the slot, and moves back those behind it that would no longer be found.
void NeighbourCounts::unindex(Row& row, size_t slot) {
  const size_t mask = row.slots.size() - 1;
  size_t free = slot;
  for (size_t next = (slot + 1) & mask; row.slots[next] != 0; next = (next + 1) & mask) {
    const size_t home = home_of(row.neighbours[row.slots[next] - 1].link, row.slots.size());
    if (((next - home) & mask) < ((next - free) & mask)) continue;  // its home lies behind the free slot
    row.slots[free] = row.slots[next];
    free = next;
  }
  row.slots[free] = 0;
}

void NeighbourCounts::clear(int32_t link) {
  rows_[size_t(link)].neighbours.clear();
  rows_[size_t(link)].slots.clear();
}

}  // namespace moesim
