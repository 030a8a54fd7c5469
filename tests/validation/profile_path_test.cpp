#include "validation/fit/profile_path.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "validation/fit/fit_parts.h"

namespace moesim {
namespace {

TEST(ProfilePath, ReadsAndWritesTheMembersThatItNames) {
  DeviceProfile profile;
  set_profile_value(profile, "kernels/grouped_gemm/tiles/1/compute", 0.5);
  set_profile_value(profile, "host/issue", 21e6);
  set_profile_value(profile, "copies/host_to_device/rate", 54e9);
  set_profile_value(profile, "collectives/copy_rate", 1e12);
  set_profile_value(profile, "kernels/gemm/split_k", 512.4);
  EXPECT_EQ(profile.kernels.grouped_gemm.tiles[1].compute, 0.5);
  EXPECT_EQ(profile.host.issue, 21_us);
  ASSERT_TRUE(profile.copies.host_to_device.has_value());
  EXPECT_EQ(profile.copies.host_to_device->rate, 54_GBps);
  EXPECT_EQ(profile.collectives.copy_rate, 1000_GBps);
  EXPECT_EQ(profile.kernels.gemm.split_k, 512);
  EXPECT_EQ(profile_value(profile, "copies/host_to_device/rate"), 54e9);
}

TEST(ProfilePath, LooksWithoutChanging) {
  const DeviceProfile profile;
  EXPECT_EQ(profile_value(profile, "copies/peer/rate"), std::nullopt);
  EXPECT_EQ(profile_value(profile, "kernels/gemm/tiles/9/compute"), std::nullopt);
  EXPECT_FALSE(profile.copies.peer.has_value());
  EXPECT_FALSE(is_profile_path("kernels/gemm/lunch"));
  EXPECT_FALSE(is_profile_path("name"));
  EXPECT_EQ(profile_range("kernels/gemm/memory").high, 1);
  EXPECT_EQ(profile_range("host/issue").high, 1e12);
}

TEST(ProfilePath, ListsTheNumbersThatMayTakeAnyValue) {
  DeviceProfile profile;
  EXPECT_EQ(numbers_below(profile, "kernels/gate"),
            (std::vector<std::string>{"kernels/gate/launch", "kernels/gate/memory", "kernels/gate/written"}));
  EXPECT_EQ(numbers_below(profile, "copies"), std::vector<std::string>{});
  profile.copies.peer = CopyParameters{1_us, 100_GBps};
  EXPECT_EQ(numbers_below(profile, "copies"),
            (std::vector<std::string>{"copies/peer/latency", "copies/peer/rate", "copies/peer/gap"}));
  profile.kernels.gemm.tiles.resize(1);
  EXPECT_EQ(numbers_below(profile, "kernels/gemm/tiles"),
            (std::vector<std::string>{"kernels/gemm/tiles/0/compute", "kernels/gemm/tiles/0/extra_k"}));
}

TEST(ProfilePath, EveryParameterOfEveryPartIsThere) {
  DeviceProfile profile;
  profile.cpu.threads.resize(3);
  for (const FitPart& part : fit_parts(profile, load_gpu("h100-sxm-80")))
    for (const FitParameter& parameter : part.parameters)
      EXPECT_TRUE(is_profile_path(parameter.path)) << parameter.path;
}

// What the written file says is what was predicted with.
TEST(ProfilePath, RoundedValuesSurviveTheFile) {
  EXPECT_EQ(rounded(123456.0), 123500.0);
  EXPECT_EQ(rounded(0.98765432), 0.9877);
  DeviceProfile profile;
  profile.name = "a/b";
  set_profile_value(profile, "kernels/attention/compute", rounded(2.0 / 3));
  set_profile_value(profile, "copies/peer/rate", rounded(312.3456789e9));
  set_profile_value(profile, "host/issue", rounded(12345678));
  const DeviceProfile read = read_struct<DeviceProfile>(parse_json(json_text(to_json(profile)), "test"), "test");
  for (const char* path : {"kernels/attention/compute", "copies/peer/rate", "host/issue"})
    EXPECT_EQ(profile_value(read, path), profile_value(profile, path)) << path;
}

}  // namespace
}  // namespace moesim
