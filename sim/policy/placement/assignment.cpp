#include "sim/policy/placement/assignment.h"

#include <algorithm>
#include <limits>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

// The Hungarian method with places that take several items. Reduced costs, cost - item price - place price, are never
// negative, and 0 where an item is.
struct Assigner {
  Assigner(std::span<const double> costs, std::span<const int32_t> rooms)
      : cost(costs),
        room(rooms),
        items(costs.size() / rooms.size()),
        item_price(items, 0),
        place_price(rooms.size(), 0),
        place_of(items, rooms.size()),
        items_of(rooms.size()) {}

  double reduced(size_t item, size_t place) const {
    return cost[item * room.size() + place] - item_price[item] - place_price[place];
  }

  void expand(size_t item, double so_far) {
    for (size_t place = 0; place < room.size(); ++place) {
      if (is_done[place] || so_far + reduced(item, place) >= distance[place]) continue;
      distance[place] = so_far + reduced(item, place);
      by[place] = item;
    }
  }

  // The nearest place with room left, over places that are full.
  size_t search(size_t item) {
    distance.assign(room.size(), kFar);
    by.assign(room.size(), 0);
    is_done.assign(room.size(), false);
    expand(item, 0);
    while (true) {
      size_t nearest = room.size();
      for (size_t place = 0; place < room.size(); ++place)
        if (!is_done[place] && room[place] > 0 && (nearest == room.size() || distance[place] < distance[nearest]))
          nearest = place;
      CHECK(nearest < room.size());
      if (items_of[nearest].size() < size_t(room[nearest])) return nearest;
      is_done[nearest] = true;
      for (const size_t other : items_of[nearest]) expand(other, distance[nearest]);
    }
  }

  void add(size_t item) {
    item_price[item] = kFar;
    for (size_t place = 0; place < room.size(); ++place)
      item_price[item] = std::min(item_price[item], cost[item * room.size() + place] - place_price[place]);
    size_t place = search(item);
    const double length = distance[place];
    item_price[item] += length;
    for (size_t full = 0; full < room.size(); ++full) {
      if (!is_done[full]) continue;
      place_price[full] -= length - distance[full];
      for (const size_t other : items_of[full]) item_price[other] += length - distance[full];
    }
    while (true) {  // each item on the way goes one place on
      const size_t moved = by[place];
      const size_t from = place_of[moved];
      place_of[moved] = place;
      items_of[place].push_back(moved);
      if (moved == item) return;
      items_of[from].erase(std::find(items_of[from].begin(), items_of[from].end(), moved));
      place = from;
    }
  }

  std::span<const double> cost;
  std::span<const int32_t> room;
  size_t items;
  std::vector<double> item_price;
  std::vector<double> place_price;
  std::vector<size_t> place_of;
  std::vector<std::vector<size_t>> items_of;
  std::vector<double> distance;  // of the search: [place]
  std::vector<size_t> by;        // the item that would go there
  std::vector<bool> is_done;
};

}  // namespace

std::vector<size_t> cheapest_assignment(std::span<const double> cost, std::span<const int32_t> room) {
  Assigner assigner(cost, room);
  for (size_t item = 0; item < assigner.items; ++item) assigner.add(item);
  return std::move(assigner.place_of);
}

}  // namespace moesim
