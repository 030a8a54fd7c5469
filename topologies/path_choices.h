// All equal-cost paths along some legs, counted and picked by number without listing the others.
#pragma once

#include <cstddef>
#include <vector>

#include "topologies/route_search.h"

namespace moesim {

// In canonical order: by the links at the first fork in order of addition, then by those at the second, and so on.
// Where there are more than `at_most`, as many as that, spread evenly over the order, the first path among them.
std::vector<std::vector<LinkId>> path_choices(const Topology& topology, RouteSearch& search,
                                              const std::vector<RouteLeg>& legs, size_t at_most);

}  // namespace moesim
