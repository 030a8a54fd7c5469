#include "validation/fit/host_records.h"

#include <gtest/gtest.h>

#include "sim/config/error.h"

namespace moesim {
namespace {

MeasurementFile file_of(const std::string& source) {
  MeasurementFile file;
  file.source = source;
  file.records = {{"offload_layer", Launch::eager, OffloadRecord{}, {}},
                  {"gemm_bf16", Launch::graph, GemmRecord{}, {}},
                  {"cpu_expert_bf16", Launch::eager, CpuExpertRecord{}, {}}};
  return file;
}

TEST(HostRecords, OfOtherHostsAreLeftOutAndNoOthers) {
  std::vector<MeasurementFile> files{file_of("a.json"), file_of("b.json")};
  keep_host_records("", files);
  EXPECT_EQ(files[1].records.size(), 3u);
  keep_host_records("a.json", files);
  EXPECT_EQ(files[0].records.size(), 3u);
  ASSERT_EQ(files[1].records.size(), 1u);
  EXPECT_EQ(files[1].records[0].kind, "gemm_bf16");
}

TEST(HostRecords, AreOfFilesThatAreThere) {
  std::vector<MeasurementFile> files{file_of("a.json"), file_of("b.json")};
  EXPECT_THROW(keep_host_records("a.json,c.json", files), ConfigError);
}

}  // namespace
}  // namespace moesim
