#include "validation/fit/other_hosts.h"

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

TEST(OtherHosts, LoseWhatSpeaksOfTheHostAlone) {
  std::vector<MeasurementFile> files{file_of("a.json"), file_of("b.json")};
  mark_other_hosts("", files);
  EXPECT_EQ(files[1].records.size(), 3u);
  mark_other_hosts("b.json", files);
  EXPECT_EQ(files[0].records.size(), 3u);
  ASSERT_EQ(files[1].records.size(), 1u);
  EXPECT_EQ(files[1].records[0].kind, "gemm_bf16");
}

TEST(OtherHosts, AreFilesThatAreThere) {
  std::vector<MeasurementFile> files{file_of("a.json"), file_of("b.json")};
  EXPECT_THROW(mark_other_hosts("a.json,c.json", files), ConfigError);
}

}  // namespace
}  // namespace moesim
