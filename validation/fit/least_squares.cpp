#include "validation/fit/least_squares.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

constexpr double kHuber = 1.345;  // 95 % efficient for normal noise (Huber 1964)

struct State {
  std::vector<double> logs;  // of the parameters
  std::vector<double> residuals;
};

class Fit {
 public:
  Fit(std::span<const FitVariable> variables, const Residuals& residuals, const FitOptions& options)
      : variables_(variables), residuals_(residuals), options_(options) {}

  FitResult run(const std::vector<double>& start) {
    State now = state_at(logs_of(start));
    start_ = now.logs;
    FitResult result;
    result.is_determined.assign(variables_.size(), false);
    double damping = 1e-3;
    for (; result.iterations < options_.iterations_max; ++result.iterations) {
      // The scale only falls, so that the loss does too.
      scale_ = std::max(options_.scale_min, std::min(scale_, robust_scale(now.residuals)));
      const Eigen::MatrixXd jacobian = jacobian_at(now, result.is_determined);
      if (!improve(now, jacobian, damping)) break;
    }
    for (const double log : now.logs) result.values.push_back(exact_exp(log));
    result.loss = loss(now);
    return result;
  }

 private:
  std::vector<double> logs_of(const std::vector<double>& values) const {
    std::vector<double> logs;
    for (size_t i = 0; i < variables_.size(); ++i) {
      CHECK(variables_[i].low > 0);
      CHECK(variables_[i].high >= variables_[i].low);
      logs.push_back(exact_log(std::clamp(values[i], variables_[i].low, variables_[i].high)));
    }
    return logs;
  }

  // Rounding may take exp(log(x)) past a bound.
  std::vector<double> values_of(const std::vector<double>& logs) const {
    std::vector<double> values;
    for (size_t i = 0; i < logs.size(); ++i)
      values.push_back(std::clamp(exact_exp(logs[i]), variables_[i].low, variables_[i].high));
    return values;
  }

  State state_at(std::vector<double> logs) const {
    std::vector<double> residuals = std::move(residuals_({values_of(logs)}).front());
    for (const double residual : residuals) CHECK(std::isfinite(residual));
    return {std::move(logs), std::move(residuals)};
  }

  double pull(const State& state) const {
    double sum = 0;
    for (size_t i = 0; i < state.logs.size(); ++i) {
      const double away = options_.pull * (state.logs[i] - start_[i]);
      sum += away * away / 2;
    }
    return sum;
  }

  double loss(const State& state) const { return huber_loss(state.residuals, scale_) + pull(state); }

  // d residual / d log(parameter), by forward differences, backward ones at the upper bound.
  Eigen::MatrixXd jacobian_at(const State& state, std::vector<bool>& is_determined) const {
    std::vector<std::vector<double>> points;
    std::vector<double> steps;
    for (size_t i = 0; i < variables_.size(); ++i) {
      const bool has_room = state.logs[i] + options_.step <= exact_log(variables_[i].high);
      steps.push_back(has_room ? options_.step : -options_.step);
      std::vector<double> logs = state.logs;
      logs[i] += steps[i];
      std::vector<double> values = values_of(state.logs);
      values[i] = exact_exp(logs[i]);
      points.push_back(std::move(values));
    }
    const std::vector<std::vector<double>> moved = residuals_(points);
    Eigen::MatrixXd jacobian(Eigen::Index(state.residuals.size()), Eigen::Index(variables_.size()));
    for (size_t i = 0; i < variables_.size(); ++i)
      for (size_t r = 0; r < state.residuals.size(); ++r) {
        const double difference = moved[i][r] - state.residuals[r];
        if (std::abs(difference) > options_.difference_min) is_determined[i] = true;
        jacobian(Eigen::Index(r), Eigen::Index(i)) = difference / steps[i];
      }
    return jacobian;
  }

  // Tries steps of rising damping until one lowers the loss. False when none does, or it hardly does.
  bool improve(State& now, const Eigen::MatrixXd& jacobian, double& damping) const {
    const double before = loss(now);
    for (int attempt = 0; attempt < 12; ++attempt) {
      State next = state_at(step_from(now, jacobian, damping));
      const double after = loss(next);
      if (after < before) {
        damping = std::max(1e-9, damping / 5);
        now = std::move(next);
        return before - after > options_.gain_min * before;
      }
      damping *= 5;
    }
    return false;
  }

  // Minimises |W (J s + r)|^2 + |pull (s + away)|^2 + damping |D s|^2 over the variables that are free to move.
  std::vector<double> step_from(const State& now, const Eigen::MatrixXd& jacobian, double damping) const {
    const auto rows = jacobian.rows();
    Eigen::VectorXd weights(rows);
    for (Eigen::Index r = 0; r < rows; ++r) {
      const double size = std::abs(now.residuals[size_t(r)]) / scale_;
      weights[r] = size > kHuber ? std::sqrt(kHuber / size) : 1.0;
    }
    const std::vector<Eigen::Index> free = free_variables(now, jacobian, weights);
    const auto columns = Eigen::Index(free.size());
    if (columns == 0) return now.logs;
    Eigen::MatrixXd system = Eigen::MatrixXd::Zero(rows + 2 * columns, columns);
    Eigen::VectorXd right = Eigen::VectorXd::Zero(rows + 2 * columns);
    for (Eigen::Index r = 0; r < rows; ++r) right[r] = -weights[r] * now.residuals[size_t(r)];
    for (Eigen::Index c = 0; c < columns; ++c) {
      const Eigen::Index variable = free[size_t(c)];
      double squares = options_.pull * options_.pull;
      for (Eigen::Index r = 0; r < rows; ++r) {
        system(r, c) = weights[r] * jacobian(r, variable);
        squares += system(r, c) * system(r, c);
      }
      system(rows + c, c) = options_.pull;
      right[rows + c] = -options_.pull * (now.logs[size_t(variable)] - start_[size_t(variable)]);
      system(rows + columns + c, c) = std::sqrt(damping * squares);
    }
    const Eigen::VectorXd step = system.colPivHouseholderQr().solve(right);
    std::vector<double> logs = now.logs;
    for (Eigen::Index c = 0; c < columns; ++c) {
      const auto variable = size_t(free[size_t(c)]);
      const double moved = logs[variable] + std::clamp(step[c], -2.0, 2.0);
      logs[variable] = std::clamp(moved, exact_log(variables_[variable].low), exact_log(variables_[variable].high));
    }
    return logs;
  }

  // All but those at a bound across which the gradient pushes.
  std::vector<Eigen::Index> free_variables(const State& now, const Eigen::MatrixXd& jacobian,
                                           const Eigen::VectorXd& weights) const {
    std::vector<Eigen::Index> free;
    for (size_t i = 0; i < variables_.size(); ++i) {
      double gradient = 0;
      for (Eigen::Index r = 0; r < jacobian.rows(); ++r)
        gradient += weights[r] * weights[r] * jacobian(r, Eigen::Index(i)) * now.residuals[size_t(r)];
      const bool is_low = now.logs[i] <= exact_log(variables_[i].low) && gradient > 0;
      const bool is_high = now.logs[i] >= exact_log(variables_[i].high) && gradient < 0;
      if (!is_low && !is_high) free.push_back(Eigen::Index(i));
    }
    return free;
  }

  std::span<const FitVariable> variables_;
  const Residuals& residuals_;
  const FitOptions& options_;
  std::vector<double> start_;
  double scale_ = 1e300;
};

}  // namespace

double huber_loss(std::span<const double> residuals, double scale) {
  const double bend = kHuber * scale;
  double sum = 0;
  for (const double residual : residuals) {
    const double size = std::abs(residual);
    sum += size <= bend ? size * size / 2 : bend * (size - bend / 2);
  }
  return sum;
}

double robust_scale(std::vector<double> residuals) {
  if (residuals.empty()) return 0;
  for (double& residual : residuals) residual = std::abs(residual);
  const auto middle = residuals.begin() + ptrdiff_t(residuals.size() / 2);
  std::nth_element(residuals.begin(), middle, residuals.end());
  return 1.4826 * *middle;
}

FitResult fit_least_squares(std::span<const FitVariable> variables, const Residuals& residuals,
                            const FitOptions& options, std::span<const std::vector<double>> starts) {
  std::vector<double> own;
  for (const FitVariable& variable : variables) own.push_back(variable.start);
  FitResult best = Fit(variables, residuals, options).run(starts.empty() ? own : starts.front());
  for (size_t i = 1; i < starts.size(); ++i) {
    FitResult other = Fit(variables, residuals, options).run(starts[i]);
    if (other.loss < best.loss) best = std::move(other);
  }
  return best;
}

}  // namespace moesim
