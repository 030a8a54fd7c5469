#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "models/cost_model.h"

namespace moesim {
namespace {

CostModel with_table(std::vector<WorkCorrection> table) {
  CostModel model{load_gpu("h100-sxm-80"), {}};
  model.kernels.gemm.corrections = std::move(table);
  return model;
}

double factor_at(const CostModel& model, const DenseGemm& gemm) {
  CostModel formula = model;
  formula.kernels.gemm.corrections.clear();
  return kernel_time(model, gemm).seconds() / kernel_time(formula, gemm).seconds();
}

// 100 * 1,000 * 1,000 = 1e8 lies half way between 1e6 and 1e10 in logarithms, so the factor is sqrt(1 * 4) = 2.
TEST(WorkCorrection, IsInterpolatedInLogarithmsAndStaysBeyondTheEnds) {
  const CostModel model = with_table({{1e6, 1}, {1e10, 4}});
  EXPECT_NEAR(factor_at(model, {100, 1000, 1000}), 2, 1e-6);
  EXPECT_NEAR(factor_at(model, {1, 100, 100}), 1, 1e-6);
  EXPECT_NEAR(factor_at(model, {8192, 8192, 8192}), 4, 1e-6);
}

// 8,192^3 * 2 flops at 989 Tflop/s.
TEST(WorkCorrection, MakesNothingFasterThanTheDataSheet) {
  const CostModel model = with_table({{1, 0.1}});
  const double least_s = 2.0 * 8192 * 8192 * 8192 / 989e12;
  EXPECT_NEAR(kernel_time(model, DenseGemm{8192, 8192, 8192}).seconds(), least_s, 1e-11);
}

}  // namespace
}  // namespace moesim
