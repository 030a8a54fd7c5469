#include "sim/net/flow_file.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moesim {
namespace {

FlowFile read(const std::string& text) { return read_flow_file(parse_json(text, "net.json"), "net.json"); }

// A file with one good link 7 and these flows.
std::string with_flows(const std::string& flows) {
  return "{\"format\": \"moe-flow-oracle-1\",\n\"links\": [{\"id\": 7, \"capacity\": 1e9, \"latency\": 1e-6}],\n"
         "\"flows\": [\n" +
         flows + "\n]}";
}

// A file with these links and no flows.
std::string with_links(const std::string& links) {
  return "{\"format\": \"moe-flow-oracle-1\", \"flows\": [],\n\"links\": [\n" + links + "\n]}";
}

std::string faults_of(const std::string& text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// 1e-6 relative or 5 ps.
void expect_close(double answer_s, double known_s) {
  EXPECT_LE(std::abs(answer_s - known_s), std::max(1e-6 * known_s, 5e-12)) << answer_s << " for " << known_s;
}

class KnownAnswers : public testing::TestWithParam<const char*> {};

TEST_P(KnownAnswers, AreMetByEveryFlow) {
  const FlowFile file = read_flow_file(std::string(MOESIM_SOURCE_DIR) + "/tests/golden/flows/" + GetParam() + ".json");
  const FlowFileAnswer answer = solve_flow_file(file, Fidelity::flow);
  ASSERT_TRUE(file.makespan_s.has_value());
  expect_close(answer.makespan_s, *file.makespan_s);
  for (size_t i = 0; i < answer.finish_s.size(); ++i) {
    SCOPED_TRACE(file.flow_ids[i]);
    ASSERT_TRUE(file.finish_s[i].has_value());
    expect_close(answer.finish_s[i], *file.finish_s[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, KnownAnswers,
                         testing::Values("one_link_staggered", "parking_lot_3", "ls8_uneven", "ls16_staggered",
                                         "ls64_a2a_2to1", "ls16_bursts", "fat_tree_4", "islands_3_rates"),
                         [](const auto& name) { return std::string(name.param); });

// Two links in series, listed in any order under ids with gaps: 1 us + 2 us of latency, then 1e6 B over 0.5e9 B/s.
TEST(FlowFile, TakesIdsInAnyOrderAndWithGaps) {
  const FlowFile file = read(R"({"format": "moe-flow-oracle-1", "links": [
      {"id": 900, "capacity": 5e8, "latency": 2e-6, "name": "slow"}, {"id": -3, "capacity": 1e9, "latency": 1e-6}],
    "flows": [{"id": 41, "path": [-3, 900], "bytes": 1e6, "start": 0.5, "src": 0}], "note": "other keys are let be"})");
  EXPECT_EQ(file.flow_ids, std::vector<int64_t>{41});
  EXPECT_FALSE(file.finish_s[0].has_value());
  EXPECT_FALSE(file.makespan_s.has_value());
  expect_close(solve_flow_file(file, Fidelity::flow).finish_s[0], 0.5 + 3e-6 + 2e-3);
  expect_close(solve_flow_file(file, Fidelity::ideal).makespan_s, 0.5 + 3e-6 + 2e-3);
}

// Twenty latencies of 0.4 ps each round to 0, but together they are 8 ps; then one byte at 1e12 B/s takes 1 ps.
TEST(FlowFile, DoesNotAddUpTheRoundingsOfLatencies) {
  std::string links, path;
  for (int i = 0; i < 20; ++i) {
    const std::string comma = i > 0 ? ", " : "";
    links += comma + "{\"id\": " + std::to_string(i) + ", \"capacity\": 1e12, \"latency\": 4e-13}";
    path += comma + std::to_string(i);
  }
  const FlowFile file = read("{\"format\": \"moe-flow-oracle-1\", \"links\": [" + links +
                             "], \"flows\": [{\"id\": 0, \"path\": [" + path + "], \"bytes\": 1, \"start\": 0}]}");
  EXPECT_NEAR(solve_flow_file(file, Fidelity::flow).makespan_s, 9e-12, 1e-15);
}

TEST(FlowFile, NamesEveryFaultWithItsLineAndPlace) {
  EXPECT_EQ(faults_of(R"({"format": "moe-flow-oracle-1",
"links": [{"id": 1, "capacity": 0, "latency": -1},
          {"id": 2, "capacity": 1e9, "latency": 0},
          {"id": 2, "capacity": 1e9, "latency": 0}],
"flows": [{"id": 1, "path": [2, 5], "bytes": 1.5, "start": 0},
          {"id": 3, "path": [2, 5, 2], "bytes": 1, "start": 0},
          {"id": 3, "path": [], "bytes": 1, "start": 0},
          {"id": 4, "path": [2], "bytes": -1, "start": -1},
          {"path": "2"}]})"),
            R"(net.json: 14 faults
  line 2 /links/0/capacity: must be between 1e-06 and 1e+18, but is 0
  line 2 /links/0/latency: must be between 0 and 9000000, but is -1
  line 4 /links/2/id: link 2 is given twice
  line 5 /flows/0/bytes: must be a whole number, but is 1.5
  line 6 /flows/1/path/1: unknown link 5
  line 6 /flows/1/path/2: crosses link 2 twice
  line 7 /flows/2/id: flow 3 is given twice
  line 7 /flows/2/path: must not be empty
  line 8 /flows/3/bytes: must be between 0 and 9007199254740992, but is -1
  line 8 /flows/3/start: must be between 0 and 9000000, but is -1
  line 9 /flows/4: missing key "id"
  line 9 /flows/4/path: type must be array, but is string
  line 9 /flows/4: missing key "bytes"
  line 9 /flows/4: missing key "start")");
}

TEST(FlowFile, RefusesAnotherFormatAlone) {
  EXPECT_EQ(faults_of("{\"links\": 3,\n\"format\": \"moe-flow-oracle-2\"}"),
            "net.json: 1 fault\n  line 2 /format: must be \"moe-flow-oracle-1\", but is \"moe-flow-oracle-2\"");
}

TEST(FlowFile, RefusesWhatIsNotAFlowFileAtAll) {
  EXPECT_EQ(faults_of("[]"), "net.json: must be an object, but is array");
  EXPECT_EQ(faults_of("{}"),
            "net.json: 3 faults\n  line 1: missing key \"format\"\n  line 1: missing key \"links\"\n"
            "  line 1: missing key \"flows\"");
  EXPECT_NE(faults_of(with_links("3")).find("/links/0: type must be object, but is number"), std::string::npos);
  EXPECT_NE(faults_of(with_links("{\"id\": 1, \"capacity\": NaN, \"latency\": 0}")), "");
}

// 1e15 B over 1e9 B/s: 1e6 s for one flow, but 1e7 s for each of ten, and simulated time holds 9.2e6 s.
TEST(FlowFile, RefusesFlowsThatSimulatedTimeCannotHold) {
  std::string flows;
  for (int i = 0; i < 10; ++i)
    flows += (i > 0 ? ",\n" : "") + std::string("{\"id\": ") + std::to_string(i) +
             ", \"path\": [7], \"bytes\": 1e15, \"start\": 0}";
  EXPECT_NE(faults_of(with_flows(flows)).find("line 4 /flows/0: may take 1e+07 s; simulated time holds 9e+06 s"),
            std::string::npos);
  EXPECT_EQ(faults_of(with_flows(flows.substr(0, flows.find(",\n")))), "");
}

TEST(FlowFile, AnswersAFileWithoutFlows) {
  EXPECT_EQ(solve_flow_file(read(with_links("")), Fidelity::flow).makespan_s, 0);
}

}  // namespace
}  // namespace moesim
