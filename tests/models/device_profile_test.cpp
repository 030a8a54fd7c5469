#include "models/device_profile.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "sim/config/error.h"

namespace moesim {
namespace {

TEST(DeviceProfile, OfTheCatalogueLoadsAndNamesItsGpu) {
  for (const std::string& name : profile_names()) {
    SCOPED_TRACE(name);
    const DeviceProfile profile = load_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_NO_THROW(load_gpu(profile.gpu));
    EXPECT_FALSE(profile.parts.empty());
  }
}

// An H200 has the SMs of an H100 and 4.8 / 3.35 of its bandwidth. A pass at 0.2 of it is bound by SMs, so it keeps its
// bytes a second: 0.2 x 3.35 / 4.8 of the larger bandwidth. One at 0.9 is bound by memory, and stays at 0.9.
TEST(ScaledProfile, KeepsTheTimesOfWhatSmsBind) {
  DeviceProfile profile;
  profile.gpu = "h100-sxm-80";
  profile.name = "h100-sxm/test";
  profile.kernels.scatter.memory = 0.2;
  profile.kernels.regroup.memory = 0.9;
  profile.parts.resize(1);
  profile.parts[0].held_out = ErrorSummary{};
  const DeviceProfile scaled = scaled_profile(profile, "h200-sxm-141");
  const double slower =
      load_gpu("h100-sxm-80").memory_bandwidth.bytes_per_s / load_gpu("h200-sxm-141").memory_bandwidth.bytes_per_s;
  EXPECT_NEAR(slower, 3.35 / 4.8, 1e-3);
  EXPECT_DOUBLE_EQ(scaled.kernels.scatter.memory, 0.2 * slower);
  EXPECT_DOUBLE_EQ(scaled.kernels.regroup.memory, 0.9);
  EXPECT_EQ(scaled.scaled_from, "h100-sxm/test");
  EXPECT_FALSE(scaled.parts[0].held_out);  // they were not measured there
}

// An A100 has 300 of an H100's 450 GB/s of NVLink, an H200 the same.
TEST(ScaledProfile, CopiesOfCollectivesGoWithTheLinks) {
  DeviceProfile profile;
  profile.gpu = "h100-sxm-80";
  profile.scale_up = 420_GBps;
  profile.collectives.copy_rate = 1'500_GBps;
  profile.collectives.small_messages = SmallMessages{8_us, 1_us, 300_GBps};
  const DeviceProfile a100 = scaled_profile(profile, "a100-sxm-80");
  EXPECT_EQ(a100.scale_up, 280_GBps);
  EXPECT_EQ(a100.collectives.copy_rate, 1'000_GBps);
  EXPECT_EQ(a100.collectives.small_messages->copy_rate, 200_GBps);
  EXPECT_EQ(a100.collectives.small_messages->launch, 8_us);
  EXPECT_EQ(scaled_profile(profile, "h200-sxm-141").collectives.copy_rate, 1'500_GBps);
}

TEST(ScaledProfile, OfItsOwnGpuIsItself) {
  DeviceProfile profile;
  profile.gpu = "h100-sxm-80";
  profile.kernels.scatter.memory = 0.2;
  const DeviceProfile same = scaled_profile(profile, "h100-sxm-80");
  EXPECT_EQ(same.kernels.scatter.memory, 0.2);
  EXPECT_TRUE(same.scaled_from.empty());
}

TEST(DeviceProfile, ThatIsUnknownSaysWhatMayHaveBeenMeant) {
  try {
    load_profile("h100-sxm/pytorc");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("h100-sxm/pytorch"), std::string::npos);
  }
}

}  // namespace
}  // namespace moesim
