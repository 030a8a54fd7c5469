#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/moe/placement_file.h"

namespace moesim {
namespace {

PlacementFile small_file() {
  PlacementFile file;
  file.layers = 1;
  file.experts = 3;
  file.gpus = 2;
  file.slots = {2, 3};
  file.policy = "greedy";
  file.trained_on = {"a trace", 0, 10};
  file.physical_to_logical = {{0, 1, 0, 2, kEmptySlot}};
  return file;
}

std::string error_of(const PlacementFile& file) {
  const std::string path = testing::TempDir() + "moesim-file-" + std::to_string(getpid()) + ".json";
  write_file_atomically(path, placement_file_text(file));
  std::string error = "no error";
  try {
    read_placement_file(path);
  } catch (const ConfigError& thrown) {
    error = thrown.what();
  }
  std::filesystem::remove(path);
  return error;
}

TEST(PlacementFileFormat, RoundTrips) {
  const std::string path = testing::TempDir() + "moesim-file-" + std::to_string(getpid()) + ".json";
  write_file_atomically(path, placement_file_text(small_file()));
  const PlacementFile read = read_placement_file(path);
  EXPECT_EQ(read.physical_to_logical, small_file().physical_to_logical);
  EXPECT_EQ(placement_file_text(read), placement_file_text(small_file()));

  PlacementInput in;
  in.layers = 1;
  in.experts = 3;
  in.gpus = 2;
  in.slots_per_gpu = 3;
  Rng rng(1);
  const PolicyChoice<PlacementPolicy> choice(kPlacementFromFile, PlacementFileOptions{path});
  EXPECT_EQ(choice.decide(in, rng).hosts,
            (std::vector<std::vector<std::vector<GpuId>>>{{{GpuId{0}, GpuId{1}}, {GpuId{0}}, {GpuId{1}}}}));
  in.slots = {1, 3};
  EXPECT_THROW(choice.decide(in, rng), ConfigError);
  in.slots.clear();
  in.experts = 4;
  EXPECT_THROW(choice.decide(in, rng), ConfigError);
  std::filesystem::remove(path);
}

TEST(PlacementFileFormat, SaysWhatIsWrong) {
  EXPECT_EQ(error_of(small_file()), "no error");
  PlacementFile file = small_file();
  file.physical_to_logical[0][3] = 0;
  EXPECT_NE(error_of(file).find("layer 0 has no slot for expert 2"), std::string::npos) << error_of(file);
  file.physical_to_logical[0][3] = 3;
  EXPECT_NE(error_of(file).find("has expert 3, but there are 3"), std::string::npos);
  file = small_file();
  file.slots = {2, 2};
  EXPECT_NE(error_of(file).find("has 5 slots, but the GPUs have 4"), std::string::npos);
  file = small_file();
  file.layers = 2;
  EXPECT_NE(error_of(file).find("has 1 layers, not 2"), std::string::npos);
  file = small_file();
  file.format_version = 2;
  EXPECT_NE(error_of(file).find("/format_version"), std::string::npos);
}

}  // namespace
}  // namespace moesim
