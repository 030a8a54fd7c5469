// Robust least squares with bounds: what parameters make residuals small, without letting a few wild records decide.
//
// Levenberg-Marquardt on the logarithms of the parameters, all of which are positive; a step that would leave the
// bounds ends on them, and a parameter that the gradient holds there is left out of the step. Huber's loss by
// reweighting: beyond 1.345 times the scale of the residuals (their median absolute deviation) a residual counts
// linearly. A weak pull towards the start decides what the data do not. Eigen's solvers of this kind know neither
// bounds nor weights; its QR does the algebra. Serial sums in a fixed order: the same bytes everywhere.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace moesim {

struct FitVariable {
  double start = 1;
  double low = 1e-12;  // above 0
  double high = 1e300;
};

struct FitOptions {
  int iterations_max = 40;
  double scale_min = 1e-3;       // residuals below this are not told apart from zero
  double pull = 0.01;            // per unit of the logarithm of a parameter
  double step = 1e-3;            // of the logarithm, for the derivatives
  double gain_min = 1e-6;        // stop when an iteration lowers the loss by less than this part
  double difference_min = 1e-7;  // of residuals: a parameter that moves none by more is not determined
};

struct FitResult {
  std::vector<double> values;
  double loss = 0;
  int iterations = 0;
  std::vector<bool> is_determined;  // [variable] whether any residual depends on it
};

// One row a parameter vector: the residuals at each of them. Rows are independent, so that the callee may compute them
// in any order, or at once.
using Residuals = std::function<std::vector<std::vector<double>>(const std::vector<std::vector<double>>& points)>;

// From each of the starts (values of all variables; none: the variables' own) and keeps the best, the first of equals.
FitResult fit_least_squares(std::span<const FitVariable> variables, const Residuals& residuals,
                            const FitOptions& options = {}, std::span<const std::vector<double>> starts = {});

// Huber's loss of all residuals at this scale.
double huber_loss(std::span<const double> residuals, double scale);

// 1.4826 times the median of |residual|: the standard deviation of normal noise, whatever outliers do.
double robust_scale(std::vector<double> residuals);

}  // namespace moesim
