#include "sim/policy/placement/assignment_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {

AssignmentColumns add_assignment(IlpProblem& problem, const std::string& place, size_t experts,
                                 const std::vector<int32_t>& slots) {
  AssignmentColumns columns(experts);
  for (size_t expert = 0; expert < experts; ++expert) {
    IlpRow home{fmt::format("{}expert {} has a home", place, expert), 1, 1, {}};
    for (size_t gpu = 0; gpu < slots.size(); ++gpu) {
      columns[expert].push_back(problem.add(IlpColumn{fmt::format("{}expert {} on GPU {}", place, expert, gpu)}));
      home.terms.push_back({columns[expert].back(), 1});
    }
    problem.add(std::move(home));
  }
  for (size_t gpu = 0; gpu < slots.size(); ++gpu) {
    IlpRow room{fmt::format("{}slots of GPU {}", place, gpu), -kNoEnd, double(slots[gpu]), {}};
    for (size_t expert = 0; expert < experts; ++expert) room.terms.push_back({columns[expert][gpu], 1});
    problem.add(std::move(room));
  }
  return columns;
}

void break_symmetry(IlpProblem& problem, const AssignmentColumns& columns, const std::vector<size_t>& order) {
  for (size_t i = 0; i < order.size(); ++i) {
    const std::vector<int32_t>& gpus = columns[order[i]];
    for (size_t gpu = i + 1; gpu < gpus.size(); ++gpu) problem.columns[size_t(gpus[gpu])].high = 0;
    for (size_t gpu = 1; gpu <= i && gpu < gpus.size(); ++gpu) {
      IlpRow opened{fmt::format("GPU {} before GPU {}", gpu - 1, gpu), -kNoEnd, 0, {{gpus[gpu], 1}}};
      for (size_t before = gpu - 1; before < i; ++before) opened.terms.push_back({columns[order[before]][gpu - 1], -1});
      problem.add(std::move(opened));
    }
  }
}

std::vector<int32_t> relabel(const std::vector<int32_t>& gpu_of, const std::vector<size_t>& order, size_t gpus) {
  std::vector<int32_t> name(gpus, -1);
  int32_t named = 0;
  std::vector<int32_t> renamed(gpu_of.size());
  for (const size_t expert : order) {
    int32_t& new_name = name[size_t(gpu_of[expert])];
    if (new_name < 0) new_name = named++;
    renamed[expert] = new_name;
  }
  return renamed;
}

void set_start(IlpProblem& problem, const AssignmentColumns& columns, const std::vector<int32_t>& gpu_of) {
  problem.start.resize(problem.columns.size(), 0);
  for (size_t expert = 0; expert < columns.size(); ++expert)
    for (size_t gpu = 0; gpu < columns[expert].size(); ++gpu)
      problem.start[size_t(columns[expert][gpu])] = size_t(gpu_of[expert]) == gpu ? 1 : 0;
}

std::vector<int32_t> gpus_in(const std::vector<double>& values, const AssignmentColumns& columns) {
  std::vector<int32_t> gpu_of;
  for (const std::vector<int32_t>& gpus : columns) {
    const auto here = std::find_if(gpus.begin(), gpus.end(), [&](int32_t c) { return values[size_t(c)] > 0.5; });
    CHECK(here != gpus.end());
    gpu_of.push_back(int32_t(here - gpus.begin()));
  }
  return gpu_of;
}

std::vector<size_t> heaviest_first(const std::vector<int64_t>& load) {
  std::vector<size_t> order(load.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return load[a] > load[b]; });
  return order;
}

}  // namespace moesim
