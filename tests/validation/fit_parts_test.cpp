#include "validation/fit/fit_parts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "models/catalogue.h"

namespace moesim {
namespace {

// The parameters of part "cpu" of a profile with CPU rates for these numbers of threads.
std::vector<FitParameter> cpu_parameters(DeviceProfile& profile, const std::vector<int32_t>& threads) {
  for (const int32_t count : threads) profile.cpu.threads.push_back({count, 1_GBps, 1_GBps, FlopRate{1e12}});
  for (const FitPart& part : fit_parts(profile, load_gpu("h100-sxm-80")))
    if (part.name == "cpu") return part.parameters;
  return {};
}

const FitParameter* of_path(const std::vector<FitParameter>& parameters, const std::string& path) {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const FitParameter& parameter) { return parameter.path == path; });
  return found == parameters.end() ? nullptr : &*found;
}

// 4 threads reach 4^-0.9 = 0.28717 of the DRAM rate of 16, and 4^-0.4 = 0.57435 of their rates of cache and products.
TEST(CpuPart, DerivesTheRatesOfOneOfTwoNumbersOfThreads) {
  DeviceProfile profile;
  const std::vector<FitParameter> parameters = cpu_parameters(profile, {4, 16});
  for (const char* member : {"memory", "cache", "compute"}) {
    const FitParameter* rate = of_path(parameters, std::string("cpu/threads/1/") + member);
    ASSERT_NE(rate, nullptr);
    EXPECT_EQ(of_path(parameters, std::string("cpu/threads/0/") + member), nullptr);
    set_parameter(profile, *rate, 100e9);
  }
  EXPECT_EQ(profile.cpu.threads[1].memory.bytes_per_s, 100e9);
  EXPECT_NEAR(profile.cpu.threads[0].memory.bytes_per_s, 28.717e9, 1e6);
  EXPECT_NEAR(profile.cpu.threads[0].cache.bytes_per_s, 57.435e9, 1e6);
  EXPECT_NEAR(profile.cpu.threads[0].compute.flop_per_s, 57.435e9, 1e6);
}

TEST(CpuPart, FitsTheRatesOfEachOfThreeNumbersOfThreads) {
  DeviceProfile profile;
  const std::vector<FitParameter> parameters = cpu_parameters(profile, {4, 8, 16});
  for (int entry = 0; entry < 3; ++entry) {
    const FitParameter* memory = of_path(parameters, "cpu/threads/" + std::to_string(entry) + "/memory");
    ASSERT_NE(memory, nullptr);
    EXPECT_TRUE(memory->tied.empty());
  }
}

}  // namespace
}  // namespace moesim
