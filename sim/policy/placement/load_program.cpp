#include "sim/policy/placement/load_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/parallel.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/assignment_program.h"

namespace moesim {
namespace {

// What a layer's program is about. Costs are divided by that of the heuristic, so that the solver sees numbers near 1.
struct LayerCase {
  const PlacementInput& in;
  const PlacementObjective& costs;
  const std::vector<int64_t>& load;
  std::string place;  // "layer 3: "
  double unit = 1;
};

bool are_all_alike(const LayerCase& c) {
  const std::vector<int32_t> slots = slots_of_gpus(c.in);
  return c.costs.dispatch.rows + c.costs.combine.rows == 0 &&
         std::count(slots.begin(), slots.end(), slots[0]) == int64_t(slots.size()) &&
         std::count(c.costs.token_s.begin(), c.costs.token_s.end(), c.costs.token_s[0]) == int64_t(slots.size());
}

// [gpu] terms whose sum is the tokens of the GPU.
using LoadTerms = std::vector<std::vector<IlpTerm>>;

void add_cost_terms(const LayerCase& c, const std::vector<IlpTerm>& load, double cost, IlpRow& row) {
  if (cost <= 0) return;
  for (const IlpTerm& term : load) row.terms.push_back({term.column, term.coefficient * cost / c.unit});
}

// Adds the columns that the cost is the sum of: the busiest GPU, and the busiest link of dispatch and of combine.
void add_costs(IlpProblem& problem, const LayerCase& c, const LoadTerms& loads) {
  const int32_t busiest = problem.add(IlpColumn{c.place + "busiest GPU", 0, kNoEnd, 1, false});
  for (size_t gpu = 0; gpu < loads.size(); ++gpu) {
    IlpRow row{fmt::format("{}time of GPU {}", c.place, gpu), -kNoEnd, 0, {{busiest, -1}}};
    add_cost_terms(c, loads[gpu], c.costs.token_s[gpu], row);
    problem.add(std::move(row));
  }
  for (const LinkTable* table : {&c.costs.dispatch, &c.costs.combine}) {
    if (table->rows == 0) continue;
    const int32_t top = problem.add(IlpColumn{c.place + "busiest link", 0, kNoEnd, 1, false});
    for (size_t link = 0; link < table->rows; ++link) {
      IlpRow row{fmt::format("{}time of link {}", c.place, link), -kNoEnd, 0, {{top, -1}}};
      for (size_t gpu = 0; gpu < loads.size(); ++gpu)
        add_cost_terms(c, loads[gpu], table->seconds[gpu * table->rows + link], row);
      problem.add(std::move(row));
    }
  }
}

// The values of those columns, at the end of the start.
void add_cost_start(IlpProblem& problem, const LayerCase& c, const LayerHosts& start) {
  const LayerCost cost = layer_cost(c.costs, gpu_loads(start, c.load, size_t(c.in.gpus)));
  const LayerPeaks peaks = layer_peaks(c.costs, cost);
  std::vector<double> tops{cost.load[peaks.gpu] * c.costs.token_s[peaks.gpu]};
  if (!cost.dispatch.empty()) tops.push_back(cost.dispatch[peaks.dispatch]);
  if (!cost.combine.empty()) tops.push_back(cost.combine[peaks.combine]);
  for (size_t i = 0; i < tops.size(); ++i) problem.start[problem.columns.size() - tops.size() + i] = tops[i] / c.unit;
}

// One column a GPU instead of one an expert and GPU.
IlpProblem spread_program(const LayerCase& c) {
  IlpProblem problem;
  const double total = double(std::accumulate(c.load.begin(), c.load.end(), int64_t{0}));
  IlpRow all{c.place + "tokens", total, total, {}};
  LoadTerms loads;
  for (int32_t gpu = 0; gpu < c.in.gpus; ++gpu) {
    const double most = slots_of(c.in, size_t(gpu)) > 0 ? total : 0;
    loads.push_back({{problem.add(IlpColumn{fmt::format("{}tokens of GPU {}", c.place, gpu), 0, most, 0, false}), 1}});
    all.terms.push_back(loads.back()[0]);
  }
  problem.add(std::move(all));
  add_costs(problem, c, loads);
  return problem;
}

// One copy an expert.
struct SingleProgram {
  IlpProblem problem;
  AssignmentColumns columns;
};

SingleProgram single_program(const LayerCase& c, const LayerHosts& start) {
  SingleProgram program;
  program.columns = add_assignment(program.problem, c.place, c.load.size(), slots_of_gpus(c.in));
  LoadTerms loads(size_t(c.in.gpus));
  for (size_t expert = 0; expert < c.load.size(); ++expert)
    for (size_t gpu = 0; gpu < loads.size(); ++gpu)
      if (c.load[expert] > 0) loads[gpu].push_back({program.columns[expert][gpu], double(c.load[expert])});
  add_costs(program.problem, c, loads);
  std::vector<int32_t> gpu_of;
  for (const std::vector<GpuId>& gpus : start) gpu_of.push_back(int32_t(gpus[0]));
  const std::vector<size_t> order = heaviest_first(c.load);
  if (are_all_alike(c)) {
    break_symmetry(program.problem, program.columns, order);
    gpu_of = relabel(gpu_of, order, loads.size());
  }
  set_start(program.problem, program.columns, gpu_of);
  add_cost_start(program.problem, c, start);
  return program;
}

// With copies: for each number of them a column that chooses it, and one for each GPU that hosts one of so many.
struct CopiesProgram {
  IlpProblem problem;
  std::vector<std::vector<int32_t>> count;            // [expert][copies - 1]
  std::vector<std::vector<std::vector<int32_t>>> on;  // [expert][copies - 1][gpu]
};

size_t copies_max(const PlacementInput& in) {
  return size_t(std::min<int64_t>(in.gpus, slots_total(in) - in.experts + 1));
}

int64_t columns_of_program(const PlacementInput& in) {
  const int64_t copies = int64_t(copies_max(in));
  return in.experts * copies * (copies > 1 ? in.gpus + 1 : in.gpus);
}

void add_expert(CopiesProgram& program, const LayerCase& c, size_t expert, LoadTerms& loads, LoadTerms& used) {
  IlpProblem& problem = program.problem;
  IlpRow one{fmt::format("{}expert {} has a home", c.place, expert), 1, 1, {}};
  for (size_t copies = 1; copies <= copies_max(c.in); ++copies) {
    const int32_t count = problem.add(IlpColumn{fmt::format("{}{} copies of expert {}", c.place, copies, expert)});
    program.count[expert].push_back(count);
    one.terms.push_back({count, 1});
    IlpRow all{fmt::format("{}copies of expert {}", c.place, expert), 0, 0, {{count, -double(copies)}}};
    std::vector<int32_t>& on = program.on[expert].emplace_back();
    for (size_t gpu = 0; gpu < loads.size(); ++gpu) {
      on.push_back(problem.add(IlpColumn{fmt::format("{}expert {} on GPU {}", c.place, expert, gpu)}));
      all.terms.push_back({on.back(), 1});
      used[gpu].push_back({on.back(), 1});
      if (c.load[expert] > 0) loads[gpu].push_back({on.back(), double(c.load[expert]) / double(copies)});
      problem.add(
          IlpRow{fmt::format("{}expert {} is copied", c.place, expert), -kNoEnd, 0, {{on.back(), 1}, {count, -1}}});
    }
    problem.add(std::move(all));
  }
  problem.add(std::move(one));
}

CopiesProgram copies_program(const LayerCase& c, const LayerHosts& start) {
  CopiesProgram program;
  program.count.resize(c.load.size());
  program.on.resize(c.load.size());
  LoadTerms loads(size_t(c.in.gpus));
  LoadTerms used(size_t(c.in.gpus));
  for (size_t expert = 0; expert < c.load.size(); ++expert) add_expert(program, c, expert, loads, used);
  for (size_t gpu = 0; gpu < used.size(); ++gpu)
    program.problem.add(IlpRow{fmt::format("{}slots of GPU {}", c.place, gpu), -kNoEnd, double(slots_of(c.in, gpu)),
                               std::move(used[gpu])});
  add_costs(program.problem, c, loads);
  program.problem.start.assign(program.problem.columns.size(), 0);
  for (size_t expert = 0; expert < start.size(); ++expert) {
    const size_t copies = start[expert].size();
    program.problem.start[size_t(program.count[expert][copies - 1])] = 1;
    for (const GpuId gpu : start[expert]) program.problem.start[size_t(program.on[expert][copies - 1][index(gpu)])] = 1;
  }
  add_cost_start(program.problem, c, start);
  return program;
}

LayerHosts hosts_in(const CopiesProgram& program, const std::vector<double>& values) {
  LayerHosts hosts(program.on.size());
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (const std::vector<int32_t>& on : program.on[expert])
      for (size_t gpu = 0; gpu < on.size(); ++gpu)
        if (values[size_t(on[gpu])] > 0.5) hosts[expert].push_back(GpuId(gpu));
  return hosts;
}

LayerHosts hosts_in(const SingleProgram& program, const std::vector<double>& values) {
  LayerHosts hosts;
  for (const int32_t gpu : gpus_in(values, program.columns)) hosts.push_back({GpuId(gpu)});
  return hosts;
}

// Names GPUs that differ in nothing by their first expert, whatever the solver called them.
LayerHosts canonical(const LayerCase& c, LayerHosts hosts) {
  if (!are_all_alike(c)) return hosts;
  std::vector<int32_t> name(size_t(c.in.gpus), -1);
  int32_t named = 0;
  for (std::vector<GpuId>& gpus : hosts) {
    for (GpuId& gpu : gpus) {
      if (name[index(gpu)] < 0) name[index(gpu)] = named++;
      gpu = GpuId(name[index(gpu)]);
    }
    std::sort(gpus.begin(), gpus.end());
  }
  return hosts;
}

template <class Program>
void search_on(const LayerCase& c, const Program& program, const ProgramOptions& options, LayerAnswer& answer) {
  const IlpSolution solution = solve(program.problem, options);
  add_search(answer.proof, solution);
  answer.proof.bound = std::max(answer.proof.bound, solution.bound * c.unit);
  if (solution.values.empty()) return;
  LayerHosts hosts = hosts_in(program, solution.values);
  const double cost = cost_of_hosts(c.costs, c.load, hosts);
  if (cost < answer.proof.objective) {
    answer.hosts = std::move(hosts);
    answer.proof.objective = cost;
  }
}

bool is_proved(const PlacementProof& proof, double gap) {
  return proof.objective - proof.bound <= std::max(gap, 1e-12) * proof.objective;
}

}  // namespace

LayerAnswer solve_layer(const PlacementInput& in, const PlacementObjective& costs, size_t layer,
                        const ProgramOptions& options) {
  const std::vector<int64_t>& load = in.past_load[layer];
  LayerAnswer answer;
  answer.hosts = heuristic_hosts(in, costs, load);
  answer.proof.objective = cost_of_hosts(costs, load, answer.hosts);
  answer.proof.bound = std::min(bound_of_products(in, costs, load), answer.proof.objective);
  const LayerCase c{in, costs, load, fmt::format("layer {}: ", layer),
                    answer.proof.objective > 0 ? answer.proof.objective : 1};
  if (!is_proved(answer.proof, options.gap.fraction)) {
    if (columns_of_program(in) > options.columns_max) {
      const IlpSolution spread = solve(spread_program(c), options);
      add_search(answer.proof, spread);
      answer.proof.bound = std::max(answer.proof.bound, spread.bound * c.unit);
    } else if (copies_max(in) > 1) {
      search_on(c, copies_program(c, answer.hosts), options, answer);
    } else {
      search_on(c, single_program(c, answer.hosts), options, answer);
    }
  }
  answer.hosts = canonical(c, std::move(answer.hosts));
  answer.proof.bound = std::min(answer.proof.bound, answer.proof.objective);
  return answer;
}

Placement place_by_load(const PlacementInput& in, const ProgramOptions& options,
                        const std::function<PlacementObjective(size_t layer)>& costs_of) {
  CHECK(in.experts <= slots_total(in));
  std::vector<LayerAnswer> answers(size_t(in.layers));
  for_all(answers.size(), size_t(options.threads),
          [&](size_t layer) { answers[layer] = solve_layer(in, costs_of(layer), layer, options); });
  Placement placement;
  PlacementProof& proof = placement.proof.emplace();
  for (LayerAnswer& answer : answers) {
    placement.hosts.push_back(std::move(answer.hosts));
    add_part(proof, answer.proof);
  }
  name_solver(proof);
  return placement;
}

}  // namespace moesim
