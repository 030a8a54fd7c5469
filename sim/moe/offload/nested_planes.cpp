#include "sim/moe/offload/nested_planes.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

int64_t tokens_of(const PlaneDemand& d, int32_t expert, int32_t plane) {
  return d.tokens[size_t(expert) * size_t(d.planes) + size_t(plane)];
}

int32_t resident_of(const PlaneDemand& d, int32_t expert) {
  return d.resident.empty() ? 0 : d.resident[size_t(expert)];
}

// Planes that the expert's tokens need, those that are there included.
int32_t needed_planes(const PlaneDemand& d, int32_t expert) {
  int32_t planes = d.planes;
  while (planes > 0 && tokens_of(d, expert, planes - 1) == 0) --planes;
  return planes;
}

void check_demand(const PlaneDemand& d) {
  CHECK(d.planes > 0);
  CHECK(d.tokens.size() % size_t(d.planes) == 0);
  CHECK(d.resident.empty() || d.resident.size() == size_t(d.experts()));
  for (const int32_t planes : d.resident) CHECK(planes >= 0 && planes <= d.planes);
  CHECK(d.load.size() == size_t(d.planes));
  CHECK(d.token.size() == size_t(d.planes));
}

}  // namespace

std::vector<double> planes_of(std::span<const double> widths) {
  std::vector<double> planes;
  double below = 0;
  for (const double width : widths) {
    CHECK(width > below);
    planes.push_back(width - below);
    below = width;
  }
  return planes;
}

int32_t planes_for(double bits, std::span<const double> plane_bits) {
  constexpr double kRounding = 1e-9;
  int32_t planes = 0;
  for (double sum = 0; sum + kRounding < bits; ++planes) {
    CHECK(size_t(planes) < plane_bits.size());
    sum += plane_bits[size_t(planes)];
  }
  return planes;
}

std::vector<ExpertPlane> hottest_planes_first(const PlaneDemand& demand) {
  check_demand(demand);
  struct Head {
    int64_t tokens = 0;
    int32_t expert = 0;
    int32_t plane = 0;
  };
  const auto is_colder = [](const Head& a, const Head& b) {
    return a.tokens != b.tokens ? a.tokens < b.tokens : a.expert > b.expert;
  };
  std::vector<Head> heads;
  const auto add_head = [&](int32_t expert, int32_t plane) {
    if (plane >= needed_planes(demand, expert)) return;
    heads.push_back({tokens_of(demand, expert, plane), expert, plane});
    std::push_heap(heads.begin(), heads.end(), is_colder);
  };
  for (int32_t expert = 0; expert < demand.experts(); ++expert) add_head(expert, resident_of(demand, expert));
  std::vector<ExpertPlane> order;
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), is_colder);
    const Head hottest = heads.back();
    heads.pop_back();
    order.push_back({hottest.expert, hottest.plane});
    add_head(hottest.expert, hottest.plane + 1);
  }
  return order;
}

std::vector<ExpertPlane> planes_by_expert(const PlaneDemand& demand) {
  check_demand(demand);
  std::vector<ExpertPlane> order;
  for (int32_t expert = 0; expert < demand.experts(); ++expert)
    for (int32_t plane = resident_of(demand, expert); plane < needed_planes(demand, expert); ++plane)
      order.push_back({expert, plane});
  return order;
}

PlaneTimes plane_times(const PlaneDemand& demand, std::span<const ExpertPlane> order) {
  check_demand(demand);
  const auto time_of = [&](ExpertPlane p) {
    return tokens_of(demand, p.expert, p.plane) * demand.token[size_t(p.plane)];
  };
  std::vector<int32_t> there(size_t(demand.experts()));
  PlaneTimes times;
  for (int32_t expert = 0; expert < demand.experts(); ++expert) {
    there[size_t(expert)] = resident_of(demand, expert);
    for (int32_t plane = 0; plane < there[size_t(expert)]; ++plane) times.compute += time_of({expert, plane});
  }
  Duration done = times.compute;
  for (const ExpertPlane loaded : order) {
    CHECK(loaded.plane == there[size_t(loaded.expert)]++);
    times.load += demand.load[size_t(loaded.plane)];
    const Duration compute = time_of(loaded);
    if (compute == Duration{}) continue;
    times.compute += compute;
    done = std::max(done, times.load) + compute;
  }
  for (int32_t expert = 0; expert < demand.experts(); ++expert)
    CHECK(there[size_t(expert)] == std::max(resident_of(demand, expert), needed_planes(demand, expert)));
  times.makespan = done;
  times.waiting = done - times.compute;
  return times;
}

std::vector<ItemPlane> planes_to_evict(std::span<const int32_t> resident, int32_t experts, int32_t layer, Bytes bytes,
                                       std::span<const Bytes> plane_bytes) {
  CHECK(experts > 0 && resident.size() % size_t(experts) == 0);
  const int32_t layers = int32_t(resident.size() / size_t(experts));
  std::vector<ItemPlane> leaving;
  Bytes freed;
  for (int32_t back = 1; back < layers; ++back) {
    const int32_t first = (layer - back + layers) % layers * experts;
    for (int32_t plane = int32_t(plane_bytes.size()) - 1; plane >= 0; --plane)
      for (ExpertItem item = first; item < first + experts; ++item) {
        if (freed >= bytes) return leaving;
        if (resident[size_t(item)] <= plane) continue;
        leaving.push_back({item, plane});
        freed += plane_bytes[size_t(plane)];
      }
  }
  return leaving;
}

}  // namespace moesim
