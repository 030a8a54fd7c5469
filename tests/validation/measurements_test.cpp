// The reader of measurements: what it makes of both formats, and what it says of bad files.
#include "validation/measurements.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sim/config/error.h"

namespace moesim {
namespace {

std::string pytorch_file(const std::string& records, int world = 1) {
  return fmt::format(R"({{"device": "NVIDIA H100 80GB HBM3", "world": {}, "torch": "2.11.0", "records": [
{}
]}})",
                     world, records);
}

std::string bench_file(const std::string& records) {
  return R"({"format": "moesim-bench", "format_version": 1, "device": "NVIDIA H200", "world": 2,
"machine": {"cublas": "13.1"}, "records": [
)" + records +
         "\n]}";
}

MeasurementFile read(const std::string& text) { return parse_measurements(text, "measured.json"); }

// The faults of a text, one a line; "" where it is read.
std::string faults_of(const std::string& text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    std::string lines;
    for (const Fault& fault : error.faults())
      lines += fmt::format("{} {}: {}\n", fault.line, fault.path, fault.message);
    return lines;
  }
  return "";
}

const char* const kLayer =
    R"({"kind": "moe_layer", "model": "tiny", "d": 16, "f": 8, "E": 2, "k": 1, "tokens_per_rank": 4, "skew": 0.5,
        "counts_src_expert": [[3, 1], [2, 2]], "us": {"regr": 20, "experts": 30.5, "layer": 100, "later": 1},
        "experts_us_per_rank": [29, 30]})";

TEST(PytorchReader, NamesPhasesAsWeDoAndKeepsCounts) {
  const MeasurementFile file = read(pytorch_file(kLayer, 2));
  EXPECT_EQ(file.format, "pytorch");
  EXPECT_EQ(file.gpu, "h100-sxm-80");
  EXPECT_EQ(file.software, "PyTorch 2.11.0");
  EXPECT_EQ(file.source, "measured.json");
  ASSERT_EQ(file.records.size(), 1u);
  const auto& layer = std::get<MoeLayerRecord>(file.records[0].what);
  EXPECT_EQ(layer.ranks, 2);
  EXPECT_EQ(layer.skew, 0.5);
  EXPECT_EQ(layer.counts, (std::vector<std::vector<int64_t>>{{3, 1}, {2, 2}}));
  EXPECT_EQ(layer.experts_us_of_rank, (std::vector<double>{29, 30}));
  ASSERT_EQ(file.records[0].times.size(), 3u);
  EXPECT_EQ(file.records[0].times[0].phase, "regroup");
  EXPECT_EQ(file.records[0].times[1].phase, "experts");
  EXPECT_EQ(file.records[0].times[1].median_us, 30.5);
  EXPECT_EQ(file.records[0].times[2].phase, "layer");
}

TEST(PytorchReader, TakesNullAsNotMeasured) {
  const MeasurementFile file = read(pytorch_file(
      R"({"kind": "overlap", "gemm_us": 10, "a2a_us": null, "gemm_and_a2a_us": null, "copy_us": 4,
          "gemm_and_copy_us": 11})"));
  ASSERT_EQ(file.records.size(), 1u);
  EXPECT_EQ(std::get<OverlapRecord>(file.records[0].what).second, "copy");
  EXPECT_EQ(file.records[0].times[0].median_us, 11);
}

TEST(PytorchReader, MakesTwoMeasurementsOfTimesEagerAndInAGraph) {
  const MeasurementFile file =
      read(pytorch_file(R"({"kind": "gemm_bf16", "m": 1, "n": 2, "k": 3, "us": 30, "graph_us": 4})"));
  ASSERT_EQ(file.records.size(), 2u);
  EXPECT_EQ(file.records[0].launch, Launch::eager);
  EXPECT_EQ(file.records[0].times[0].median_us, 30);
  EXPECT_EQ(file.records[1].launch, Launch::graph);
  EXPECT_EQ(file.records[1].times[0].median_us, 4);
  EXPECT_EQ(file.records[1].record, 0u);
}

TEST(PytorchReader, ReadsCollectivesWithTheirTable) {
  const MeasurementFile file = read(pytorch_file(
      R"({"kind": "nccl_all_to_allv_graph", "bytes_per_rank": 96, "us": 20, "send_bytes": [[32, 64], [16, 16]]})", 2));
  const auto& collective = std::get<CollectiveRecord>(file.records[0].what);
  EXPECT_EQ(collective.op, "all_to_all");
  EXPECT_EQ(collective.bytes, 96);
  EXPECT_EQ(collective.send_bytes, (std::vector<int64_t>{32, 64, 16, 16}));
  EXPECT_EQ(file.records[0].launch, Launch::graph);
}

TEST(PytorchReader, KeepsTheLeastBesideTheMedian) {
  const MeasurementFile file = read(pytorch_file(
      R"({"kind": "offload_layer", "model": "m", "d": 16, "f": 8, "tokens": 1, "hit": 1, "copy": 0, "cpu": 0,
          "threads": 8, "gpu_us": 12, "gpu_min_us": 10, "all_us": 13})"));
  ASSERT_EQ(file.records[0].times.size(), 2u);
  EXPECT_EQ(file.records[0].times[0].min_us, 10);
  EXPECT_EQ(file.records[0].times[1].min_us, 13);
}

TEST(BenchReader, TakesMediansOfSamples) {
  const MeasurementFile file = read(bench_file(
      R"({"kind": "gemm", "m": 1, "n": 2, "k": 3, "dtype": "fp8", "launch": "graph", "samples_us": [5, 3, 4, 9]})"));
  EXPECT_EQ(file.format, "moesim-bench");
  EXPECT_EQ(file.gpu, "h200-sxm-141");
  EXPECT_EQ(file.software, "moesim-bench, cuBLAS 13.1");
  EXPECT_EQ(std::get<GemmRecord>(file.records[0].what).precision, Precision::fp8);
  EXPECT_EQ(file.records[0].launch, Launch::graph);
  EXPECT_EQ(file.records[0].times[0].median_us, 4.5);  // of 3, 4, 5, 9
  EXPECT_EQ(file.records[0].times[0].min_us, 3);
  EXPECT_EQ(file.records[0].times[0].samples_us.size(), 4u);
}

TEST(BenchReader, ReadsALayerWithItsPhases) {
  const MeasurementFile file = read(bench_file(
      R"({"kind": "moe_layer", "d": 16, "f": 8, "experts": 2, "k": 1, "tokens_per_rank": 4, "ranks": 1, "chunks": 2,
          "schedule": "chunked", "counts_src_expert": [[3, 1]], "launch": "graph",
          "phases_us": {"gate": [2, 1, 3], "dispatch": null}, "samples_us": [50]})"));
  const Measurement& layer = file.records[0];
  EXPECT_EQ(std::get<MoeLayerRecord>(layer.what).chunks, 2);
  ASSERT_EQ(layer.times.size(), 2u);
  EXPECT_EQ(layer.times[0].phase, "gate");
  EXPECT_EQ(layer.times[0].median_us, 2);
  EXPECT_EQ(layer.times[1].phase, "layer");
}

TEST(BenchReader, CountsTheOrderOfCopiesAsPartOfTheGate) {
  const MeasurementFile file = read(bench_file(
      R"({"kind": "moe_layer", "d": 16, "f": 8, "experts": 2, "k": 1, "tokens_per_rank": 4, "ranks": 1,
          "counts_src_expert": [[3, 1]], "phases_us": {"gate": [2, 1, 3], "order": [5, 7]}, "samples_us": [50]})"));
  EXPECT_EQ(file.records[0].times[0].phase, "gate");
  EXPECT_EQ(file.records[0].times[0].median_us, 2 + 6);
}

TEST(BenchReader, KeepsWhatSetsRecordsApart) {
  const MeasurementFile file = read(bench_file(
      R"({"kind": "copy", "from": "host_pinned", "to": "device", "bytes": 8, "beside": "device to host_pinned",
          "held_out": true, "samples_us": [1]},
         {"kind": "cpu_expert", "d": 1, "f": 1, "tokens": 1, "threads": 1, "weights": "int8", "instructions": "amx",
          "in_cache": false, "samples_us": [1]})"));
  EXPECT_EQ(std::get<CopyRecord>(file.records[0].what).beside, "device to host_pinned");
  EXPECT_TRUE(file.records[0].held_out);
  EXPECT_FALSE(file.records[1].held_out);
  EXPECT_EQ(std::get<CpuExpertRecord>(file.records[1].what).instructions, "amx");
  EXPECT_FALSE(std::get<CpuExpertRecord>(file.records[1].what).in_cache);
}

// Steps that name a seed sum by index_add, as layers do; those of older files do not.
TEST(PytorchReader, KnowsWhichStepsScatter) {
  const auto scatters = [](const char* seed) {
    const MeasurementFile file = read(pytorch_file(fmt::format(
        R"({{"kind": "model_step", "model": "m", "phase": "decode", "layers": 1, "d": 1, "heads": 1, "kv_heads": 1,
            "head_dim": 1, "f": 1, "E": 1, "k": 1, "tokens_per_rank": 1, "kv": 1, "graph_us": 1, {}
            "counts_layer_src_expert": [[[1]]]}})",
        seed)));
    return std::get<ModelStepRecord>(file.records[0].what).scatters;
  };
  EXPECT_TRUE(scatters(R"("seed": 1,)"));
  EXPECT_FALSE(scatters(""));
}

TEST(Reader, KeepsUnknownKindsByName) {
  for (const std::string& text : {pytorch_file(R"({"kind": "novel", "us": -1})"), bench_file(R"({"kind": "novel"})")}) {
    const MeasurementFile file = read(text);
    ASSERT_EQ(file.records.size(), 1u);
    EXPECT_EQ(file.records[0].kind, "novel");
    EXPECT_TRUE(std::holds_alternative<OtherRecord>(file.records[0].what));
  }
}

TEST(Reader, KnowsGpusAsTheirDriversCallThem) {
  EXPECT_EQ(catalogue_gpu("NVIDIA A100-SXM4-80GB"), "a100-sxm-80");
  EXPECT_EQ(catalogue_gpu("NVIDIA H900"), "");
}

TEST(Reader, RefusesForeignFiles) {
  const char* const kForeign = "not a file of measurements";
  for (const char* const text :
       {"[1, 2]", "3", R"({"records": []})", R"({"device": "x"})", R"({"format": "csv", "device": "x", "records": []})",
        R"({"format": 3, "device": "x", "records": []})"})
    EXPECT_NE(faults_of(text).find(kForeign), std::string::npos) << text;
  const std::string newer = R"({"format": "moesim-bench", "format_version": 2, "device": "x", "records": []})";
  EXPECT_NE(faults_of(newer).find("format_version"), std::string::npos);
}

// Wherever a file is cut off, there is one clear fault.
TEST(Reader, RefusesATruncatedFile) {
  const std::string text = pytorch_file(kLayer, 2);
  for (size_t length = 0; length + 1 < text.size(); length += 7) {
    const std::string faults = faults_of(text.substr(0, length));
    EXPECT_TRUE(faults.find("not JSON") != std::string::npos || faults.find("is empty") != std::string::npos)
        << length << ": " << faults;
  }
}

struct BadRecord {
  const char* record;
  const char* path;
  const char* message;
};

TEST(Reader, SaysWhatIsWrongWithARecordAndWhere) {
  const BadRecord kBad[] = {
      {"7", "/records/0", "type must be object, but is number"},
      {R"({"us": 1})", "/records/0", "the required key \"kind\" is missing"},
      {R"({"kind": "gemm_bf16", "m": 1, "n": 2, "us": 1})", "/records/0", "the required key \"k\" is missing"},
      {R"({"kind": "gemm_bf16", "m": "1", "n": 2, "k": 3, "us": 1})", "/records/0/m", "type must be number"},
      {R"({"kind": "gemm_bf16", "m": 1.5, "n": 2, "k": 3, "us": 1})", "/records/0/m", "\"1.5\" is not a whole number"},
      {R"({"kind": "gemm_bf16", "m": 0, "n": 2, "k": 3, "us": 1})", "/records/0/m", "must be between 1 and"},
      {R"({"kind": "gemm_bf16", "m": 1, "n": 2, "k": 3, "us": -1})", "/records/0/us", "must be above 0 us, but is -1"},
      {R"({"kind": "gemm_bf16", "m": 1, "n": 2, "k": 3, "us": null})", "/records/0/us", "type must be number"},
      {R"({"kind": "attention_sdpa", "batch": 1, "q": 9, "kv": 8, "heads": 2, "kv_heads": 2, "head_dim": 4, "us": 1})",
       "/records/0/kv", "fewer keys than queries"},
      {R"({"kind": "attention_sdpa", "batch": 1, "q": 1, "kv": 8, "heads": 3, "kv_heads": 2, "head_dim": 4, "us": 1})",
       "/records/0/kv_heads", "does not divide `heads`"},
      {R"({"kind": "nccl_all_reduce", "bytes_per_rank": 8, "us": 1})", "/records/0", "a collective of one rank"},
      {R"({"kind": "overlap", "gemm_us": 10, "copy_us": 4})", "/records/0", "go together"},
      {R"({"kind": "model_step", "model": "m", "phase": "train", "layers": 1, "d": 1, "heads": 1, "kv_heads": 1,
           "head_dim": 1, "f": 1, "E": 1, "k": 1, "tokens_per_rank": 1, "kv": 1, "graph_us": 1,
           "counts_layer_src_expert": [[[1]]]})",
       "/records/0/phase", "\"train\" is neither prefill nor decode"},
      {R"({"kind": "model_step", "model": "m", "phase": "decode", "layers": 2, "d": 1, "heads": 1, "kv_heads": 1,
           "head_dim": 1, "f": 1, "E": 1, "k": 1, "tokens_per_rank": 1, "kv": 1, "graph_us": 1,
           "counts_layer_src_expert": [[[1]]]})",
       "/records/0/counts_layer_src_expert", "has 1 layers, but 2 ran"},
  };
  for (const BadRecord& bad : kBad) {
    const std::string faults = faults_of(pytorch_file(bad.record));
    EXPECT_NE(faults.find(std::string(bad.path) + ": "), std::string::npos) << bad.record << "\n" << faults;
    EXPECT_NE(faults.find(bad.message), std::string::npos) << bad.record << "\n" << faults;
  }
}

TEST(Reader, HoldsCountsAgainstTokensAndTopK) {
  const auto with_counts = [](const char* counts) {
    return pytorch_file(fmt::format(R"({{"kind": "moe_layer", "model": "tiny", "d": 16, "f": 8, "E": 2, "k": 1,
        "tokens_per_rank": 4, "counts_src_expert": {}, "us": {{"layer": 1}}}})",
                                    counts));
  };
  EXPECT_EQ(faults_of(with_counts("[[3, 1]]")), "");
  EXPECT_NE(faults_of(with_counts("[[3, 2]]")).find("sends 5 copies, but 4 tokens to 1 experts each are 4"),
            std::string::npos);
  EXPECT_NE(faults_of(with_counts("[[4]]")).find("has 1 experts, but the layer has 2"), std::string::npos);
  EXPECT_NE(faults_of(with_counts("[[3, 1], [3, 1]]")).find("has 2 source ranks, but 1 ran"), std::string::npos);
  EXPECT_NE(faults_of(with_counts("[[5, 1]]")).find("sends 5 copies to one expert, but has 4 tokens"),
            std::string::npos);
  EXPECT_NE(faults_of(with_counts("[[5, -1]]")).find("must be between 0"), std::string::npos);
}

TEST(Reader, ReportsEveryFaultWithItsLine) {
  const std::string faults =
      faults_of(pytorch_file("{\"kind\": \"gemm_bf16\", \"m\": 1, \"n\": 2, \"k\": 3, \"us\": 0},\n"
                             "{\"kind\": \"copy_d2d\", \"bytes\": -4,\n\"us\": true}"));
  EXPECT_EQ(faults,
            "2 /records/0/us: a time must be above 0 us, but is 0\n"
            "3 /records/1/bytes: must be between 1 and 1125899906842624, but is -4\n"
            "4 /records/1/us: type must be number, but is boolean\n");
}

TEST(BenchReader, SaysWhatIsWrongWithSamples) {
  const auto with = [](const char* rest) {
    return bench_file(fmt::format(R"({{"kind": "gemm", "m": 1, "n": 2, "k": 3, {}}})", rest));
  };
  EXPECT_NE(faults_of(with(R"("dtype": "bf16", "samples_us": [])")).find("no samples"), std::string::npos);
  EXPECT_NE(faults_of(with(R"("dtype": "bf16", "samples_us": [1, -2])")).find("/records/0/samples_us/1: a time must"),
            std::string::npos);
  EXPECT_NE(faults_of(with(R"("dtype": "bf61", "samples_us": [1])")).find("did you mean \"bf16\"?"), std::string::npos);
  EXPECT_NE(faults_of(with(R"("dtype": "bf16", "launch": "later", "samples_us": [1])")).find("/records/0/launch"),
            std::string::npos);
}

}  // namespace
}  // namespace moesim
