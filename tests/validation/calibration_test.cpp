#include "validation/fit/calibration.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "sim/config/json_text.h"
#include "sim/core/math.h"
#include "sim/core/random.h"
#include "tests/support/random_network.h"
#include "validation/fit/profile_fit.h"
#include "validation/fit/profile_path.h"
#include "validation/fit/record_sizes.h"
#include "validation/fit/sanity.h"

namespace moesim {
namespace {

Measurement record_of(auto what, size_t number) {
  Measurement measurement;
  measurement.kind = "test";
  measurement.launch = Launch::graph;
  measurement.what = std::move(what);
  measurement.record = number;
  return measurement;
}

// GEMMs, uneven grouped GEMMs, attention and copies of the sizes of models, without times.
MeasurementFile sizes(Rng& rng) {
  MeasurementFile file{"raw.json", "moesim-bench", "NVIDIA H100 80GB HBM3", "h100-sxm-80", "test", 1, {}};
  const auto add = [&](auto what) { file.records.push_back(record_of(std::move(what), file.records.size())); };
  for (int64_t m = 1; m <= 16384; m *= 4)
    for (const int64_t n : {1024, 4096, 14336})
      for (const int64_t k : {1024, 4096, 8192}) add(GemmRecord{m, n, k});
  for (int64_t rows = 1; rows <= 4096; rows *= 4)
    for (const int64_t width : {1024, 4096, 14336}) {
      GroupedGemmRecord grouped{{}, width, 2048, "moesim"};
      for (int group = 0; group < 16; ++group) grouped.rows.push_back(rng.between(0, 2 * rows));
      add(grouped);
    }
  for (const int64_t length : {128, 1024, 4096, 8192}) {
    add(AttentionRecord{4, length, length, 32, 8, 128, 128, false});
    add(AttentionRecord{1, length / 8, length / 8, 32, 8, 128, 128, false});
    add(AttentionRecord{2, length / 16, length / 16, 32, 8, 128, 128, false});
    add(AttentionRecord{1, length / 32, length / 32, 32, 8, 128, 128, false});
    for (const int64_t batch : {1, 16, 64}) add(AttentionRecord{batch, 1, length, 32, 8, 128, 128, false});
  }
  for (int64_t bytes = 1024; bytes <= 1 << 28; bytes *= 4) add(CopyRecord{"host_pinned", "device", bytes, 1});
  return file;
}

void measure(MeasurementFile& file, const DeviceProfile& truth, double noise, Rng& rng) {
  const PredictionModel model{truth, load_gpu(file.gpu), file.world};
  for (Measurement& measurement : file.records) {
    measurement.times.clear();
    for (const Predicted& predicted : predict(model, measurement)) {
      PhaseTime time;
      time.phase = predicted.phase;
      time.median_us = predicted.us * rng.log_normal(0, noise);
      measurement.times.push_back(time);
    }
  }
}

DeviceProfile random_truth(Rng& rng) {
  DeviceProfile truth;
  const auto set = [&](const char* path, double low, double high) {
    set_profile_value(truth, path, low + (high - low) * rng.uniform());
  };
  set("kernels/gemm/launch", 1.5e6, 4e6);
  set("kernels/gemm/memory", 0.7, 0.95);
  set("kernels/gemm/tiles/0/compute", 0.65, 0.9);
  for (TileParameters& tile : truth.kernels.gemm.tiles) tile.compute = truth.kernels.gemm.tiles[0].compute;
  set("kernels/grouped_gemm/launch", 3e6, 9e6);
  set("kernels/grouped_gemm/memory", 0.6, 0.95);
  set("kernels/attention/launch", 5e6, 12e6);
  set("kernels/attention/compute", 0.4, 0.8);
  set("copies/host_to_device/latency", 5e6, 20e6);
  set("copies/host_to_device/rate", 30e9, 60e9);
  return truth;
}

CalibrationInput input_of(MeasurementFile file) {
  CalibrationInput input;
  input.gpu = load_gpu(file.gpu);
  input.base.name = "test/test";
  input.base.gpu = file.gpu;
  input.base.stack = "test";
  input.folds = 0;
  input.files = {std::move(file)};
  return input;
}

Calibration calibrated(const CalibrationInput& input) {
  return calibrate(input, predict, [] {});
}

// Noise of 2 %, and at least ten records that a parameter decides: 4 * 0.02 / sqrt(10) = 2.5 %; twice
// that, since parameters share records. Memory of the GEMMs is bound up with their tiles besides, as the fourth-power
// norm leaves few sizes to one alone: twice that again.
TEST(Calibration, FindsTheParametersThatMadeTheData) {
  for_each_seed(2, [](Rng& rng) {
    const DeviceProfile truth = random_truth(rng);
    MeasurementFile file = sizes(rng);
    measure(file, truth, 0.02, rng);
    const DeviceProfile found = calibrated(input_of(file)).profile;
    const auto expect = [&](const char* path, double bound) {
      EXPECT_NEAR(*profile_value(found, path) / *profile_value(truth, path), 1, bound) << path;
    };
    expect("kernels/gemm/memory", 0.10);
    expect("kernels/gemm/tiles/0/compute", 0.05);
    expect("kernels/grouped_gemm/memory", 0.10);
    expect("kernels/attention/compute", 0.05);
    expect("kernels/attention/launch", 0.05);
    expect("copies/host_to_device/latency", 0.05);
    expect("copies/host_to_device/rate", 0.05);
  });
}

// A library whose small GEMMs take three times what any tile of the formula does: the table says so, and where the
// formula is right it says 1.
TEST(Calibration, FallsBackOnATableWhereTheFormulaFitsBadly) {
  Rng rng(8);
  MeasurementFile file = sizes(rng);
  std::erase_if(file.records, [](const Measurement& m) { return !std::holds_alternative<GemmRecord>(m.what); });
  measure(file, DeviceProfile{}, 0.02, rng);
  for (Measurement& m : file.records) {
    const auto& gemm = std::get<GemmRecord>(m.what);
    const double work = double(gemm.m) * double(gemm.n) * double(gemm.k);
    m.times[0].median_us *= exact_pow(work, 0.5) / 1e5 + 1;  // far from what launches and rates can say
  }
  const Calibration made = calibrated(input_of(file));
  const auto& table = made.profile.kernels.gemm.corrections;
  ASSERT_GE(table.size(), 2u);
  for (size_t i = 1; i < table.size(); ++i) EXPECT_LT(table[i - 1].work, table[i].work);
  DeviceProfile without = made.profile;
  without.kernels.gemm.corrections.clear();
  double with_table = 0;
  double formula = 0;
  const GpuSpec gpu = load_gpu(file.gpu);
  for (const Measurement& m : file.records) {
    with_table += std::abs(predict({made.profile, gpu, 1}, m)[0].us / m.times[0].median_us - 1);
    formula += std::abs(predict({without, gpu, 1}, m)[0].us / m.times[0].median_us - 1);
  }
  EXPECT_LT(with_table, formula);
}

TEST(Calibration, ErrorsAreOfTheProfileAsItIsWritten) {
  Rng rng(3);
  MeasurementFile file = sizes(rng);
  measure(file, random_truth(rng), 0.05, rng);
  const CalibrationInput input = input_of(file);
  const Calibration made = calibrated(input);
  for (const ProfilePart& part : made.profile.parts) {
    if (part.part != "copies/host_to_device") continue;
    std::vector<double> errors;
    for (const Measurement& m : input.files[0].records)
      if (std::holds_alternative<CopyRecord>(m.what))
        errors.push_back(predict({made.profile, input.gpu, 1}, m)[0].us / m.times[0].median_us - 1);
    std::sort(errors.begin(), errors.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    EXPECT_EQ(part.fit.n, int64_t(errors.size()));
    EXPECT_EQ(part.fit.worst, std::abs(errors.back()));
    return;
  }
  FAIL() << "no part copies/host_to_device";
}

TEST(Calibration, SaysWhatNoRecordTellsAndKeepsIt) {
  Rng rng(4);
  MeasurementFile file = sizes(rng);
  measure(file, random_truth(rng), 0.02, rng);
  std::erase_if(file.records, [](const Measurement& m) { return !std::holds_alternative<CopyRecord>(m.what); });
  CalibrationInput input = input_of(file);
  input.base.kernels.attention.compute = 0.123;
  const Calibration made = calibrated(input);
  EXPECT_EQ(made.profile.kernels.attention.compute, 0.123);
  const auto& warnings = made.report.warnings;
  EXPECT_TRUE(std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
    return warning.starts_with("kernels/attention: no record tells");
  }));
}

TEST(Calibration, HeldOutRecordsDoNotReachTheFit) {
  Rng rng(5);
  MeasurementFile file = sizes(rng);
  measure(file, random_truth(rng), 0.02, rng);
  std::erase_if(file.records, [](const Measurement& m) { return !std::holds_alternative<CopyRecord>(m.what); });
  CalibrationInput input = input_of(file);
  input.hold_out.every = 3;
  const Calibration made = calibrated(input);
  // Held-out records five times as long change their errors and nothing else.
  for (Measurement& m : input.files[0].records)
    if (input.hold_out.holds(m)) m.times[0].median_us *= 5;
  const Calibration again = calibrated(input);
  EXPECT_EQ(made.profile.copies.host_to_device->rate, again.profile.copies.host_to_device->rate);
  EXPECT_EQ(made.report.parts[0].fit.worst, again.report.parts[0].fit.worst);
  ASSERT_TRUE(again.report.parts[0].held_out.has_value());
  EXPECT_GT(again.report.parts[0].held_out->median, 0.7);
}

TEST(Calibration, FoldsKeepAModelTogetherAndSplitSizes) {
  std::vector<size_t> count(4, 0);
  for (int64_t m = 1; m <= 400; ++m) ++count[fold_of(size_key(record_of(GemmRecord{m, 64, 64}, 0)), 4)];
  for (const size_t each : count) EXPECT_NEAR(double(each), 100, 40);  // 4.6 standard deviations of sqrt(400 * 3/16)
  EXPECT_EQ(size_key(record_of(GemmRecord{1, 2, 3}, 0)), size_key(record_of(GemmRecord{1, 2, 3}, 9)));
}

TEST(Calibration, TheSameFilesGiveTheSameBytes) {
  Rng rng(6);
  MeasurementFile file = sizes(rng);
  measure(file, random_truth(rng), 0.02, rng);
  std::erase_if(file.records, [](const Measurement& m) { return std::holds_alternative<GroupedGemmRecord>(m.what); });
  const CalibrationInput input = input_of(file);
  EXPECT_EQ(json_text(calibrated(input).profile), json_text(calibrated(input).profile));
}

// 8,192^3 * 2 / 989 Tflop/s = 1,112 us.
TEST(Sanity, AMeasurementFasterThanTheDataSheetIsAFault) {
  MeasurementFile file{"raw.json", "moesim-bench", "", "h100-sxm-80", "", 1, {}};
  file.records = {record_of(GemmRecord{8192, 8192, 8192}, 0), record_of(GemmRecord{8192, 8192, 8192}, 1)};
  for (Measurement& m : file.records) m.times.resize(1);
  file.records[0].times[0].median_us = 1400;
  file.records[1].times[0].median_us = 1.4;  // milliseconds
  const std::vector<Fault> faults = check_measurements(file, load_gpu(file.gpu));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].path, "/records/1");
  EXPECT_NEAR(least_us(file.records[0], load_gpu(file.gpu)), 1112, 1);
}

TEST(Sanity, AProfileInAWrongUnitIsRejected) {
  const GpuSpec gpu = load_gpu("h100-sxm-80");
  DeviceProfile profile;
  profile.copies.host_to_device = CopyParameters{10_us, 55_GBps};
  profile.cpu.threads = {{8, 20_GBps, 40_GBps, FlopRate{1e12}}};
  EXPECT_TRUE(check_profile(profile, gpu).empty());
  // A thousand times too fast or too slow.
  for (const char* path : {"copies/host_to_device/rate", "kernels/attention/compute", "kernels/gemm/memory"})
    for (const double unit : {1e3, 1e-3}) {
      DeviceProfile wrong = profile;
      set_profile_value(wrong, path, *profile_value(profile, path) * unit);
      ASSERT_EQ(check_profile(wrong, gpu).size(), 1u) << path;
      EXPECT_EQ(check_profile(wrong, gpu)[0].path, "/" + std::string(path));
    }
  DeviceProfile slow = profile;
  slow.kernels.attention.launch = 8800_us;
  EXPECT_EQ(check_profile(slow, gpu).size(), 1u);
}

// Every time of the file a thousandth of what it is.
TEST(Sanity, AFileInMillisecondsIsFoundOut) {
  Rng rng(7);
  MeasurementFile file = sizes(rng);
  measure(file, random_truth(rng), 0.02, rng);
  const GpuSpec gpu = load_gpu(file.gpu);
  EXPECT_TRUE(check_measurements(file, gpu).empty());
  for (Measurement& m : file.records) m.times[0].median_us /= 1000;
  EXPECT_GT(check_measurements(file, gpu).size(), 20u);
}

TEST(HoldOut, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(parse_hold_out("models=a,b").models, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parse_hold_out("every=5").every, 5);
  EXPECT_TRUE(parse_hold_out("").is_empty());
  for (const char* text : {"every=1", "every=x", "models=", "model=a", "5"})
    EXPECT_THROW(parse_hold_out(text), ConfigError) << text;
  EXPECT_THROW(check_hold_out(parse_hold_out("models=a"), {}), ConfigError);
}

}  // namespace
}  // namespace moesim
