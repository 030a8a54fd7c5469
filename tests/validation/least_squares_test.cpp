#include "validation/fit/least_squares.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/math.h"
#include "sim/core/random.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

struct Sample {
  double x = 0;
  double y = 0;
};

using Form = double (*)(const std::vector<double>& p, double x);

Residuals residuals_of(Form form, const std::vector<Sample>& samples) {
  return [form, &samples](const std::vector<std::vector<double>>& points) {
    std::vector<std::vector<double>> all;
    for (const auto& point : points) {
      all.emplace_back();
      for (const Sample& s : samples) all.back().push_back(exact_log(form(point, s.x) / s.y));
    }
    return all;
  };
}

// Sizes over six decades, each measured with log-normal noise.
std::vector<Sample> samples_of(Form form, const std::vector<double>& truth, double noise, size_t count, Rng& rng) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < count; ++i) {
    const double x = exact_pow(10, 6 * rng.uniform());
    samples.push_back({x, form(truth, x) * rng.log_normal(0, noise)});
  }
  return samples;
}

double latency_and_rate(const std::vector<double>& p, double x) { return p[0] + x / p[1]; }
double two_regimes(const std::vector<double>& p, double x) {
  return p[0] + std::sqrt(std::sqrt(exact_pow(x / p[1], 4) + exact_pow(p[2] * std::ceil(x / 1e4), 4)));
}
double power_law(const std::vector<double>& p, double x) { return p[0] * exact_pow(x, p[1]); }

void expect_near(const std::vector<double>& values, const std::vector<double>& truth, double relative) {
  for (size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(values[i] / truth[i], 1, relative) << "parameter " << i;
}

// Of n records with noise s, about a third decides each parameter: a standard error of s / sqrt(n / 3), and four of
// them. n = 120, s = 0.03: 4 * 0.03 / sqrt(40) = 0.019.
TEST(LeastSquares, FindsTheParametersOfNoisyData) {
  for_each_seed(30, [](Rng& rng) {
    const std::vector<double> copy{5 + 10 * rng.uniform(), 1e3 + 1e4 * rng.uniform()};
    const auto copies = samples_of(latency_and_rate, copy, 0.03, 120, rng);
    const std::vector<FitVariable> starts{{1, 1e-3, 1e9}, {1, 1e-3, 1e9}};
    expect_near(fit_least_squares(starts, residuals_of(latency_and_rate, copies)).values, copy, 0.019);
    const std::vector<double> power{0.5 + rng.uniform(), 0.3 + rng.uniform()};
    const auto powers = samples_of(power_law, power, 0.03, 120, rng);
    // The exponent is far better known than the factor, which stands for x = 1, at the data's end.
    expect_near(fit_least_squares(starts, residuals_of(power_law, powers)).values, power, 0.04);
  });
}

// Its floor and its steps are hard to tell apart, but what they give together is not: three parameters of 200 records
// with noise of 2 %, so the curve is known to 0.02 * sqrt(3 / 200) = 0.25 % on the average, to twice that where it
// bends, and three times that is taken. No fit may be worse than the truth.
TEST(LeastSquares, FindsTheCurveOfAFormWithSteps) {
  for_each_seed(20, [](Rng& rng) {
    const std::vector<double> truth{3 + 5 * rng.uniform(), 500 + 500 * rng.uniform(), 20 + 10 * rng.uniform()};
    const auto samples = samples_of(two_regimes, truth, 0.02, 200, rng);
    const std::vector<FitVariable> starts{{1, 1e-3, 1e9}, {100, 1e-3, 1e9}, {100, 1e-3, 1e9}};
    const Residuals residuals = residuals_of(two_regimes, samples);
    const auto found = fit_least_squares(starts, residuals).values;
    for (const double x : {1e2, 3e3, 3e4, 1e5, 1e6})
      EXPECT_NEAR(two_regimes(found, x) / two_regimes(truth, x), 1, 0.015) << x;
    EXPECT_LE(huber_loss(residuals({found}).front(), 0.02), huber_loss(residuals({truth}).front(), 0.02) + 0.01);
  });
}

// One record in ten is three times too long. Least squares on logarithms would be off by 0.1 * log 3 = 11 % at once.
TEST(LeastSquares, OutliersDoNotMoveTheFit) {
  for_each_seed(30, [](Rng& rng) {
    const std::vector<double> truth{10, 5000};
    auto samples = samples_of(latency_and_rate, truth, 0.02, 200, rng);
    for (size_t i = 0; i < samples.size(); i += 10) samples[i].y *= 3;
    const std::vector<FitVariable> starts{{1, 1e-3, 1e9}, {1, 1e-3, 1e9}};
    expect_near(fit_least_squares(starts, residuals_of(latency_and_rate, samples)).values, truth, 0.025);
  });
}

TEST(LeastSquares, StaysWithinBoundsAndFitsTheRestThere) {
  Rng rng(1);
  const auto samples = samples_of(latency_and_rate, {10, 5000}, 0, 100, rng);
  // The rate may reach half of the truth at most: it ends there.
  const std::vector<FitVariable> starts{{1, 1e-3, 1e9}, {100, 1, 2500}};
  const FitResult fit = fit_least_squares(starts, residuals_of(latency_and_rate, samples));
  EXPECT_DOUBLE_EQ(fit.values[1], 2500);
  EXPECT_GT(fit.values[0], 1);
}

TEST(LeastSquares, LeavesWhatNoRecordTellsWhereItWas) {
  Rng rng(2);
  const auto samples = samples_of(latency_and_rate, {10, 5000}, 0.01, 60, rng);
  const std::vector<FitVariable> starts{{1, 1e-3, 1e9}, {100, 1e-3, 1e9}, {42, 1, 100}};
  const FitResult fit = fit_least_squares(starts, residuals_of(latency_and_rate, samples));
  EXPECT_EQ(fit.is_determined, (std::vector<bool>{true, true, false}));
  EXPECT_NEAR(fit.values[2], 42, 1e-9);
}

// (log x)^2 - 1 is zero at log x = 1 and at -1; a second residual of 0.5 makes the right valley the worse one.
TEST(LeastSquares, KeepsTheBestOfSeveralStarts) {
  const Residuals two_valleys = [](const std::vector<std::vector<double>>& points) {
    std::vector<std::vector<double>> all;
    for (const auto& point : points) {
      const double log = exact_log(point[0]);
      all.push_back({log * log - 1, log < 0 ? 0.0 : 0.5});
    }
    return all;
  };
  const std::vector<FitVariable> variables{{5, 0.01, 100}};
  const std::vector<std::vector<double>> starts{{5}, {0.2}};
  const auto end = [&](std::span<const std::vector<double>> from) {
    return exact_log(fit_least_squares(variables, two_valleys, {}, from).values[0]);
  };
  EXPECT_NEAR(end(std::span(starts).first(1)), 1, 0.01);
  EXPECT_NEAR(end(starts), -1, 0.01);
}

// Huber: x^2 / 2 up to 1.345, then 1.345 (x - 0.6725). Of 1 and 3: 0.5 + 1.345 * 2.3275 = 3.6304875.
TEST(LeastSquares, LossIsHubers) {
  const std::vector<double> residuals{1, -3};
  EXPECT_NEAR(huber_loss(residuals, 1), 3.6304875, 1e-12);
}

}  // namespace
}  // namespace moesim
