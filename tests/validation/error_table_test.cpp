#include "validation/error_table.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "validation/scatter_plot.h"

namespace moesim {
namespace {

Comparison compared(const char* kind, const char* phase, const char* size, double measured, double predicted,
                    const char* dropped = "") {
  return {"f.json", 0, kind, phase, size, "what", measured, predicted, dropped};
}

// Of 1, 2, 3, 10: the median lies halfway between 2 and 3; 0.9 of the three steps is 2.7, so 3 + 0.7 * 7 = 7.9.
TEST(Quantile, IsInterpolated) {
  EXPECT_DOUBLE_EQ(quantile({10, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({10, 1, 3, 2}, 0.9), 7.9);
  EXPECT_DOUBLE_EQ(quantile({10, 1, 3, 2}, 1), 10);
  EXPECT_DOUBLE_EQ(quantile({4}, 0.9), 4);
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
}

// Predicted 110, 80 and 100 where 100 was measured: errors +10, -20 and 0 %. Absolute 0, 10, 20: median 10, p90
// 10 + 0.8 * 10 = 18, worst 20; the median of the signed ones is 0. The fourth is left out.
TEST(ErrorTable, SummarisesRelativeErrors) {
  const std::vector<Comparison> all = {compared("a", "all", "all", 100, 110), compared("a", "all", "all", 100, 80),
                                       compared("a", "all", "all", 100, 100),
                                       compared("a", "all", "all", 100, 500, "noise")};
  const ErrorTable table = error_table(all);
  ASSERT_EQ(table.errors.size(), 1u);
  const ErrorRow& row = table.errors[0];
  EXPECT_EQ(row.n, 3);
  EXPECT_EQ(row.dropped, 1);
  EXPECT_NEAR(row.median, 0.10, 1e-12);
  EXPECT_NEAR(row.p90, 0.18, 1e-12);
  EXPECT_NEAR(row.worst, 0.20, 1e-12);
  EXPECT_NEAR(row.bias, 0, 1e-12);
  const std::string text = error_table_text(table, all, {{"novel", 2}});
  EXPECT_NE(text.find("10.0 %"), std::string::npos) << text;
  EXPECT_NE(text.find("not predicted: 2 novel\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("dropped: 1 noise\n")) << text;
}

Comparison collective(const char* kind, const char* bytes, double predicted, const char* dropped = "") {
  Comparison one = compared(kind, "all", "all", 100, predicted, dropped);
  one.bytes = bytes;
  return one;
}

// By bytes in the report, under the names of the classes; in the table for programs as `all` alone.
TEST(ErrorTable, ShowsCollectivesByBytesToo) {
  const std::vector<Comparison> all = {collective("a", "over 32 MB", 110), collective("b", "over 32 MB", 130),
                                       collective("b", "64 KB to 32 MB", 90), collective("b", "", 500, "small"),
                                       compared("copy", "all", "all", 100, 100)};
  std::string rows;
  for (const ErrorRow& row : collective_rows(all)) rows += row.kind + ", " + row.size + "; ";
  EXPECT_EQ(rows,
            "collectives, 64 KB to 32 MB; collectives, over 32 MB; a, over 32 MB; b, 64 KB to 32 MB; b, over 32 MB; ");
  EXPECT_NEAR(collective_rows(all)[1].median, 0.20, 1e-12);
  EXPECT_EQ(collective_rows(all)[1].n, 2);
  const ErrorTable table = error_table(all);
  for (const ErrorRow& row : table.errors) EXPECT_EQ(row.size, "all");
  EXPECT_NE(error_table_text(table, all, {}).find("collectives  all        over 32 MB"), std::string::npos);
}

TEST(ErrorTable, OrdersRowsByKindPhaseAndSize) {
  const std::vector<Comparison> all = {compared("zebra", "all", "all", 1, 1),
                                       compared("model_step", "graph", "large", 1, 1),
                                       compared("model_step", "graph", "small", 1, 1),
                                       compared("model_step", "eager", "large", 1, 1),
                                       compared("moe_layer", "layer", "small", 1, 1),
                                       compared("moe_layer", "gate", "large", 1, 0, "never counted"),
                                       compared("ant", "all", "all", 1, 1)};
  std::string order;
  for (const ErrorRow& row : error_table(all).errors) order += row.kind + " " + row.phase + " " + row.size + "; ";
  EXPECT_EQ(order,
            "moe_layer gate large; moe_layer layer small; model_step eager large; model_step graph small; "
            "model_step graph large; ant all all; zebra all all; ");
  EXPECT_EQ(error_table(all).errors[0].n, 0);
  EXPECT_EQ(error_table(all).errors[0].dropped, 1);
}

Measurement layer(int32_t ranks, int64_t tokens, std::vector<PhaseTime> times, std::vector<double> experts = {}) {
  MoeLayerRecord record;
  record.ranks = ranks;
  record.tokens_per_rank = tokens;
  record.top_k = 1;
  record.d = 1 << 14;  // 32 KiB a token, so that 1,024 tokens are 32 MiB
  record.experts_us_of_rank = std::move(experts);
  return {"moe_layer", Launch::eager, record, std::move(times), 0};
}

bool is_dropped(const Measurement& measurement, size_t time = 0) {
  return !reason_to_drop(measurement, measurement.times[time]).empty();
}

TEST(DropRules, LeaveOutExpertsThatTwoWaysOfMeasuringDifferOn) {
  EXPECT_TRUE(is_dropped(layer(2, 16, {{"experts", 112, {}, 112}}, {90, 100})));
  EXPECT_TRUE(is_dropped(layer(2, 16, {{"experts", 100, {}, 100}}, {112, 90})));
  EXPECT_FALSE(is_dropped(layer(2, 16, {{"experts", 109, {}, 109}}, {90, 100})));
  EXPECT_FALSE(is_dropped(layer(2, 16, {{"experts", 300, {}, 300}})));
  EXPECT_FALSE(is_dropped(layer(2, 16, {{"layer", 300, {}, 300}}, {90, 100})));
}

TEST(DropRules, LeaveOutPairsThatDifferAndWhatIsOneLaunch) {
  const PhaseTime dispatch{"dispatch", 100, {}, 100};
  EXPECT_FALSE(is_dropped(layer(2, 1024, {dispatch, {"combine", 120, {}, 120}})));
  EXPECT_TRUE(is_dropped(layer(2, 1024, {dispatch, {"combine", 126, {}, 126}}, {}), 0));
  EXPECT_TRUE(is_dropped(layer(2, 1024, {dispatch, {"combine", 126, {}, 126}}, {}), 1));
  EXPECT_TRUE(is_dropped(layer(2, 1023, {dispatch, {"combine", 120, {}, 120}})));
  EXPECT_TRUE(is_dropped(layer(1, 1024, {dispatch, {"combine", 100, {}, 100}})));
  Measurement skewed = layer(2, 1024, {dispatch, {"combine", 126, {}, 126}});
  std::get<MoeLayerRecord>(skewed.what).skew = 1;
  EXPECT_FALSE(is_dropped(skewed));
}

TEST(DropRules, LeaveOutUnsteadyOffloadAndShortCollectives) {
  const OffloadRecord offload{"m", 1, 1, 1, 1, 0, 1, 8};
  EXPECT_TRUE(is_dropped({"offload_layer", Launch::eager, offload, {{"all", 116, {}, 100}}, 0}));
  EXPECT_FALSE(is_dropped({"offload_layer", Launch::eager, offload, {{"all", 114, {}, 100}}, 0}));
  const auto all_reduce = [](int64_t bytes, Launch launch) {
    return Measurement{
        "nccl_all_reduce", launch, CollectiveRecord{"all_reduce", 2, bytes, {}}, {{"all", 100, {}, 100}}, 0};
  };
  EXPECT_TRUE(is_dropped(all_reduce((32 << 20) - 1, Launch::eager)));
  EXPECT_FALSE(is_dropped(all_reduce(32 << 20, Launch::eager)));
  EXPECT_TRUE(is_dropped(all_reduce((64 << 10) - 1, Launch::graph)));
  EXPECT_FALSE(is_dropped(all_reduce(64 << 10, Launch::graph)));
}

TEST(Compare, PutsCollectivesThatCountIntoClassesOfBytes) {
  MeasurementFile file;
  file.world = 2;
  const auto add = [&](int64_t bytes, Launch launch) {
    file.records.push_back(
        {"nccl_all_reduce", launch, CollectiveRecord{"all_reduce", 2, bytes, {}}, {{"all", 100, {}, 100}}, 0});
  };
  add((32 << 20) - 1, Launch::eager);
  add(32 << 20, Launch::eager);
  add((64 << 10) - 1, Launch::graph);
  add(64 << 10, Launch::graph);
  add(32 << 20, Launch::graph);
  std::string classes;
  for (const Comparison& one : compare({{}, load_gpu("h100-sxm-80"), 2}, file).compared) classes += one.bytes + "; ";
  EXPECT_EQ(classes, "; over 32 MB; ; 64 KB to 32 MB; over 32 MB; ");
}

TEST(ComparisonCsv, QuotesTextAndLeavesOutWhatIsNotPredicted) {
  const std::vector<Comparison> all = {{"f.json", 7, "a", "all", "all", "x, \"y\"", 100, 110, ""},
                                       {"f.json", 8, "a", "all", "all", "z", 100, 0, "why"}};
  EXPECT_EQ(comparison_csv(all),
            "file,record,kind,phase,size,what,measured_us,predicted_us,error,dropped\n"
            "f.json,7,a,all,all,\"x, \"\"y\"\"\",100.000,110.000,0.100000,\n"
            "f.json,8,a,all,all,z,100.000,,,why\n");
}

// Times from 10 to 1,000 us: two decades over 620 points, so 100 us lies in the middle, 310 from the left (86) and
// from the bottom (56 + 620). Discs have radius 2.6 and begin at their left.
TEST(ScatterPlot, PutsPointsOnLogarithmicAxes) {
  const std::vector<Comparison> all = {compared("b", "all", "all", 100, 100), compared("b", "all", "all", 10, 10),
                                       compared("c", "all", "all", 1000, 1000)};
  const std::string svg = scatter_plot_svg(all, "A <title>");
  EXPECT_NE(svg.find("M393.4 366.0a"), std::string::npos);
  EXPECT_NE(svg.find("A &lt;title&gt;"), std::string::npos);
  EXPECT_NE(svg.find("b: 2 points, median 0.0 %"), std::string::npos);
  EXPECT_NE(svg.find(">1,000</text>"), std::string::npos);
}

TEST(ScatterPlot, OfNothingIsStillAPicture) {
  EXPECT_NE(scatter_plot_svg({}, "nothing").find("</svg>"), std::string::npos);
}

// Of two equal works the first of one machine meets the first of the other; what one lacks is in no row.
TEST(TakenFor, PutsTheTimesOfAnotherMachineInThePlaceOfPredictions) {
  const auto measured = [](const char* what, double us) {
    return Comparison{"a.json", 0, "gemm", "all", "all", what, us, 1, ""};
  };
  const std::vector<Comparison> here{measured("x", 10), measured("x", 20), measured("y", 5)};
  const std::vector<Comparison> there{measured("z", 1), measured("x", 11), measured("x", 15)};
  const std::vector<Comparison> taken = taken_for(here, there);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_NEAR(taken[0].error(), 0.1, 1e-12);
  EXPECT_NEAR(taken[1].error(), -0.25, 1e-12);
}

}  // namespace
}  // namespace moesim
