#include "sim/moe/placement_cost.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

using Row = std::vector<double>;  // [gpu] seconds a token

// Rows over this many are kept without looking for those that others cover, which takes the square of their number.
constexpr size_t kRowsComparedMax = 4096;

bool covers(const Row& row, const Row& other) {
  for (size_t gpu = 0; gpu < row.size(); ++gpu)
    if (row[gpu] < other[gpu]) return false;
  return true;
}

// Without rows that another is at least equal to everywhere; of equal ones the first stays.
std::vector<Row> uncovered(std::vector<Row> rows) {
  if (rows.size() > kRowsComparedMax) return rows;
  std::vector<Row> kept;
  for (size_t i = 0; i < rows.size(); ++i) {
    bool is_covered = false;
    for (size_t j = 0; j < rows.size() && !is_covered; ++j)
      is_covered = i != j && covers(rows[j], rows[i]) && (j < i || !covers(rows[i], rows[j]));
    if (!is_covered) kept.push_back(rows[i]);
  }
  return kept;
}

// path_of(far, gpu) are the links between a GPU with experts and one that holds tokens, in the one direction.
template <class PathOf>
LinkTable link_table(const PlacementInput& in, double bytes, PathOf path_of) {
  const size_t gpus = size_t(in.gpus);
  std::map<size_t, std::vector<int32_t>> pairs_of_link;  // [gpu] GPUs whose tokens cross the link on this GPU's account
  for (size_t far = 0; far < gpus; ++far)
    for (size_t gpu = 0; gpu < gpus; ++gpu)
      for (const int32_t link : path_of(far, gpu)) {
        std::vector<int32_t>& pairs = pairs_of_link[size_t(link)];
        pairs.resize(gpus, 0);
        ++pairs[gpu];
      }
  std::map<std::vector<int32_t>, double> slowest;  // of the links that the same pairs cross
  for (const auto& [link, pairs] : pairs_of_link) {
    double& seconds = slowest[pairs];
    seconds = std::max(seconds, in.costs.link_s[link]);
  }
  std::vector<Row> rows;
  for (const auto& [pairs, seconds] : slowest) {
    Row& row = rows.emplace_back();
    for (const int32_t far : pairs) row.push_back(far * (bytes * seconds / double(gpus)));
  }
  rows = uncovered(std::move(rows));
  LinkTable table{rows.size(), std::vector<double>(gpus * rows.size())};
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t gpu = 0; gpu < gpus; ++gpu) table.seconds[gpu * table.rows + row] = rows[row][gpu];
  return table;
}

std::vector<double> seconds_of_links(const LinkTable& table, const std::vector<double>& load) {
  std::vector<double> seconds(table.rows, 0);
  for (size_t gpu = 0; gpu < load.size(); ++gpu)
    for (size_t row = 0; row < table.rows; ++row) seconds[row] += load[gpu] * table.seconds[gpu * table.rows + row];
  return seconds;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, value);
  return most;
}

double largest_product(const double* a, const double* b, size_t begin, size_t end) {
  double most = 0;
  for (size_t i = begin; i < end; ++i) most = std::max(most, a[i] * b[i]);
  return most;
}

// Four maxima side by side: one would wait for itself at every row.
double links_after_shift(const LinkTable& table, const std::vector<double>& seconds, size_t from, size_t to,
                         double tokens) {
  const double* const less = table.seconds.data() + from * table.rows;
  const double* const more = table.seconds.data() + to * table.rows;
  double most[4] = {0, 0, 0, 0};
  size_t row = 0;
  for (; row + 4 <= table.rows; row += 4)
    for (size_t lane = 0; lane < 4; ++lane) {
      const double after = seconds[row + lane] + tokens * (more[row + lane] - less[row + lane]);
      most[lane] = most[lane] < after ? after : most[lane];
    }
  for (; row < table.rows; ++row) most[0] = std::max(most[0], seconds[row] + tokens * (more[row] - less[row]));
  return std::max(std::max(most[0], most[1]), std::max(most[2], most[3]));
}

void shift_links(const LinkTable& table, std::vector<double>& seconds, size_t from, size_t to, double tokens) {
  for (size_t row = 0; row < table.rows; ++row)
    seconds[row] += tokens * (table.seconds[to * table.rows + row] - table.seconds[from * table.rows + row]);
}

double link_after_shift(const LinkTable& table, const std::vector<double>& seconds, size_t row, size_t from, size_t to,
                        double tokens) {
  if (table.rows == 0) return 0;
  return seconds[row] + tokens * (table.seconds[to * table.rows + row] - table.seconds[from * table.rows + row]);
}

size_t index_of_largest(const std::vector<double>& values) {
  return size_t(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

PlacementObjective placement_objective(const PlacementInput& in) {
  PlacementObjective objective;
  const size_t gpus = size_t(in.gpus);
  objective.in_seconds = !in.costs.token_s.empty();
  objective.token_s = objective.in_seconds ? in.costs.token_s : std::vector<double>(gpus, 1);
  CHECK(objective.token_s.size() == gpus);
  if (!objective.in_seconds || in.costs.path.empty()) return objective;
  CHECK(in.costs.path.size() == gpus * gpus);
  objective.dispatch = link_table(in, in.costs.dispatch_bytes, [&](size_t far, size_t gpu) -> const auto& {
    return in.costs.path[far * gpus + gpu];
  });
  objective.combine = link_table(in, in.costs.combine_bytes, [&](size_t far, size_t gpu) -> const auto& {
    return in.costs.path[gpu * gpus + far];
  });
  return objective;
}

LayerCost layer_cost(const PlacementObjective& objective, std::vector<double> load) {
  LayerCost cost;
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (!objective.in_seconds && total > 0) cost.scale = double(load.size()) / total;
  cost.dispatch = seconds_of_links(objective.dispatch, load);
  cost.combine = seconds_of_links(objective.combine, load);
  cost.load = std::move(load);
  cost.value = cost.scale * (largest_product(cost.load.data(), objective.token_s.data(), 0, cost.load.size()) +
                             largest(cost.dispatch) + largest(cost.combine));
  return cost;
}

double cost_after_shift(const PlacementObjective& objective, const LayerCost& cost, size_t from, size_t to,
                        double tokens) {
  const double* const load = cost.load.data();
  const double* const token_s = objective.token_s.data();
  const auto [low, high] = std::minmax(from, to);
  double busiest = std::max((load[from] - tokens) * token_s[from], (load[to] + tokens) * token_s[to]);
  busiest = std::max(busiest, largest_product(load, token_s, 0, low));
  busiest = std::max(busiest, largest_product(load, token_s, low + 1, high));
  busiest = std::max(busiest, largest_product(load, token_s, high + 1, cost.load.size()));
  return cost.scale * (busiest + links_after_shift(objective.dispatch, cost.dispatch, from, to, tokens) +
                       links_after_shift(objective.combine, cost.combine, from, to, tokens));
}

LayerPeaks layer_peaks(const PlacementObjective& objective, const LayerCost& cost) {
  LayerPeaks peaks;
  for (size_t gpu = 1; gpu < cost.load.size(); ++gpu)
    if (cost.load[gpu] * objective.token_s[gpu] > cost.load[peaks.gpu] * objective.token_s[peaks.gpu]) peaks.gpu = gpu;
  peaks.dispatch = index_of_largest(cost.dispatch);
  peaks.combine = index_of_largest(cost.combine);
  return peaks;
}

double bound_after_shift(const PlacementObjective& objective, const LayerCost& cost, const LayerPeaks& peaks,
                         size_t from, size_t to, double tokens) {
  double load = cost.load[peaks.gpu];
  if (peaks.gpu == from) load -= tokens;
  if (peaks.gpu == to) load += tokens;
  return cost.scale * (load * objective.token_s[peaks.gpu] +
                       link_after_shift(objective.dispatch, cost.dispatch, peaks.dispatch, from, to, tokens) +
                       link_after_shift(objective.combine, cost.combine, peaks.combine, from, to, tokens));
}

void shift(const PlacementObjective& objective, LayerCost& cost, size_t from, size_t to, double tokens) {
  cost.value = cost_after_shift(objective, cost, from, to, tokens);
  cost.load[from] -= tokens;
  cost.load[to] += tokens;
  shift_links(objective.dispatch, cost.dispatch, from, to, tokens);
  shift_links(objective.combine, cost.combine, from, to, tokens);
}

std::vector<double> gpu_loads(std::span<const std::vector<GpuId>> hosts, std::span<const int64_t> load, size_t gpus) {
  std::vector<double> loads(gpus, 0);
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (const GpuId gpu : hosts[expert]) loads[index(gpu)] += double(load[expert]) / double(hosts[expert].size());
  return loads;
}

double placement_cost(const PlacementInput& in, const Placement& placement) {
  const PlacementObjective objective = placement_objective(in);
  double sum = 0;
  for (size_t layer = 0; layer < placement.hosts.size(); ++layer)
    sum += layer_cost(objective, gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus))).value;
  return sum;
}

double load_bound(const PlacementInput& in, const Placement& placement, size_t layer) {
  double total = 0;
  double most = 0;
  for (size_t expert = 0; expert < placement.hosts[layer].size(); ++expert) {
    const double load = double(in.past_load[layer][expert]);
    total += load;
    most = std::max(most, load / double(placement.hosts[layer][expert].size()));
  }
  return std::max(most, total / double(in.gpus));
}

}  // namespace moesim
