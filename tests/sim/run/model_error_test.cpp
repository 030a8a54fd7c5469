#include "sim/run/model_error.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

ProfilePart part(const char* name, double p90) {
  ProfilePart part;
  part.part = name;
  part.held_out = ErrorSummary{10, p90 / 2, p90, 2 * p90, 0};
  return part;
}

Results step_of(double experts_s, double dispatch_s) {
  Results results;
  results.step_time_s = experts_s + dispatch_s;
  results.breakdown = {{"experts", experts_s, 0, experts_s}, {"dispatch", dispatch_s, 0, dispatch_s}};
  return results;
}

// 3 s of experts off by 10 %, 4 s of dispatch by 10 %: sqrt(0.3^2 + 0.4^2) = 0.5 s of 7 s.
TEST(ModelError, AddsTheSquaresOfWhatOperationsMayBeOff) {
  DeviceProfile profile;
  profile.parts = {part("kernels/grouped_gemm", 0.1), part("collectives", 0.1)};
  const auto error = model_error(profile, step_of(3, 4));
  ASSERT_TRUE(error);
  EXPECT_NEAR(error->fraction, 0.5 / 7, 1e-12);
  EXPECT_NEAR(error->low_s, 6.5, 1e-12);
  EXPECT_NEAR(error->high_s, 7.5, 1e-12);
  EXPECT_EQ(error->covers, 1);
}

TEST(ModelError, SaysHowMuchOfTheStepItSpeaksFor) {
  DeviceProfile profile;
  profile.parts = {part("kernels/grouped_gemm", 0.1)};
  const auto error = model_error(profile, step_of(3, 1));
  ASSERT_TRUE(error);
  EXPECT_NEAR(error->covers, 0.75, 1e-12);
}

TEST(ModelError, IsUnknownWhereNothingWasHeldOut) {
  DeviceProfile profile;
  profile.parts = {part("kernels/grouped_gemm", 0.1)};
  profile.parts[0].held_out.reset();
  EXPECT_FALSE(model_error(profile, step_of(3, 1)));
}

// Whole steps were off by 4 %, so all that computes is, whatever its kernels were.
TEST(ModelError, BelievesWholeStepsMoreThanTheirKernels) {
  DeviceProfile profile;
  profile.parts = {part("kernels/grouped_gemm", 0.5), part("steps", 0.04)};
  const auto error = model_error(profile, step_of(5, 0));
  ASSERT_TRUE(error);
  EXPECT_NEAR(error->fraction, 0.04, 1e-12);
}

// Bands of 0.5 s: 7.0 and 7.4 s are within, 7.0 and 7.6 s are not.
TEST(ModelError, TellsDifferencesThatMeanSomething) {
  Results a = step_of(3, 4);
  Results b = step_of(3, 4.4);
  EXPECT_FALSE(is_within_model_error(a, b));  // without a band nothing is
  a.model_error = ModelErrorResult{0.5 / 7, 6.5, 7.5, 1};
  b.model_error = ModelErrorResult{0.5 / 7.4, 6.9, 7.9, 1};
  EXPECT_TRUE(is_within_model_error(a, b));
  b.step_time_s = 7.6;
  b.model_error->fraction = 0.5 / 7.6;
  EXPECT_FALSE(is_within_model_error(a, b));
}

}  // namespace
}  // namespace moesim
