#include "sim/run/synthesis_report.h"

#include <gtest/gtest.h>

#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

TEST(SynthesisReport, OfTheSampleMeetsAllBarsAndPrintsTheNoiseFloor) {
  const TraceTemplates templates =
      trace_templates(read_routing_trace(std::string(MOESIM_SOURCE_DIR) + "/traces/samples/moe64k8-sample.h5"));
  const SynthesisReport report = synthesis_report(templates, fit_rates(templates, 0), 0, "sample");
  ASSERT_EQ(report.comparisons.size(), 3u);
  const TraceComparison& same = report.comparisons[0];
  EXPECT_TRUE(meets(same.difference, SynthesisBars{}));
  EXPECT_LT(same.step_time, 0.03);
  EXPECT_GT(same.reference_simulated.step_time_s, 0);
  // Parts of a trace differ, and a synthetic trace of the one is not much further from the other.
  const TraceComparison& floor = report.comparisons[1];
  const TraceComparison& unseen = report.comparisons[2];
  EXPECT_GT(floor.difference.load, 0.01);
  EXPECT_LT(unseen.difference.load, 1.25 * floor.difference.load);
  EXPECT_LT(unseen.difference.lru_by_layer, floor.difference.lru_by_layer + 0.03);
  EXPECT_LT(unseen.step_time, floor.step_time + 0.03);
  EXPECT_NE(synthesis_text(report).find("held-out part"), std::string::npos);
}

}  // namespace
}  // namespace moesim
