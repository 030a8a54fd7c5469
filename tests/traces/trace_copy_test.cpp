#include "traces/trace_copy.h"

#include <gtest/gtest.h>

#include "tests/traces/trace_cases.h"
#include "traces/hdf5_file.h"
#include "traces/npz.h"
#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

// Twelve tokens of three layers and one choice: token t goes to expert t % 4 + layer. Requests of 4, steps of 3, two
// domains in turn.
RoutingTrace counted_trace() {
  RoutingTrace trace = empty_trace(12, 3, 1, 8);
  for (int32_t token = 0; token < 12; ++token) {
    for (int32_t layer = 0; layer < 3; ++layer) trace.ids[size_t(3 * token + layer)] = uint16_t(token % 4 + layer);
    trace.request.push_back(token / 4);
    trace.step.push_back(token / 3);
    trace.domain.push_back(token % 2);
  }
  trace.layer_numbers = {1, 2, 5};
  trace.domains = {"de", "cxx"};
  return trace;
}

RoutingTrace slice(const RoutingTrace& trace, const TraceSelection& selection) {
  return selected(trace, 0, head_of(trace), selection);
}

std::vector<std::unique_ptr<TraceInput>> inputs_of(const std::vector<RoutingTrace>& traces) {
  std::vector<std::unique_ptr<TraceInput>> inputs;
  for (const RoutingTrace& trace : traces)
    inputs.push_back(std::make_unique<TraceInput>(trace, "trace-" + std::to_string(inputs.size())));
  return inputs;
}

RoutingTrace merged(const std::vector<RoutingTrace>& traces) {
  const TemporaryPath file("merged.h5");
  const auto inputs = inputs_of(traces);
  const TraceHead head = merged_head(inputs);
  TraceSink sink(head, file.path);
  merge_traces(inputs, head, sink);
  sink.finish();
  return read_routing_trace(file.path);
}

TEST(NumberRanges, AreListsOfNumbersAndInclusiveRanges) {
  const std::optional<NumberRanges> parsed = parse_number_ranges("0-2,7,10-10");
  ASSERT_TRUE(parsed.has_value());
  std::vector<int64_t> held;
  for (int64_t number = 0; number < 20; ++number)
    if (parsed->holds(number)) held.push_back(number);
  EXPECT_EQ(held, (std::vector<int64_t>{0, 1, 2, 7, 10}));
  for (const char* wrong : {"", "a", "3-", "-3", "5-2", "1,", "1 2", "99999999999999999999"})
    EXPECT_FALSE(parse_number_ranges(wrong).has_value()) << wrong;
}

TEST(TraceSelection, KeepsTokensForWhichAllHolds) {
  const RoutingTrace trace = counted_trace();
  EXPECT_EQ(slice(trace, {.requests = parse_number_ranges("1")}).request, (std::vector<int32_t>{1, 1, 1, 1}));
  EXPECT_EQ(slice(trace, {.steps = parse_number_ranges("0,3")}).step, (std::vector<int32_t>{0, 0, 0, 3, 3, 3}));
  EXPECT_EQ(slice(trace, {.warm_up_steps = 3}).step, (std::vector<int32_t>{3, 3, 3}));
  // Tokens 4 to 7, of which domain 1 has 5 and 7.
  const RoutingTrace both = slice(trace, {.tokens = parse_number_ranges("4-7"), .domain = 1});
  EXPECT_EQ(both.ids, (std::vector<uint16_t>{1, 2, 3, 3, 4, 5}));
  EXPECT_TRUE(check_trace(both).empty());
}

TEST(TraceSelection, KeepsLayersByTheirNumbersInTheModel) {
  const RoutingTrace trace = counted_trace();
  const TraceSelection selection{.layers = parse_number_ranges("2-9")};
  EXPECT_EQ(selected_head(head_of(trace), selection).about.layer_numbers, (std::vector<int32_t>{2, 5}));
  const RoutingTrace kept = slice(trace, selection);
  EXPECT_EQ(kept.layers, 2);
  EXPECT_EQ(kept.ids[0], 1);  // token 0 in the second layer
  EXPECT_EQ(kept.tokens, 12);
}

TEST(TraceSelection, OfWhatIsNotRecordedHasAllFaultsAtOnce) {
  RoutingTrace trace = counted_trace();
  trace.request.clear();
  trace.step.clear();
  const auto faults = check_selection(
      {.requests = parse_number_ranges("0"), .steps = parse_number_ranges("0"), .layers = parse_number_ranges("3")},
      head_of(trace));
  ASSERT_EQ(faults.size(), 3u);
  EXPECT_EQ(faults[0].path + faults[1].path + faults[2].path, "--requests--steps--layers");
}

TEST(TraceSink, ThatGotNothingLeavesNoFile) {
  const TemporaryPath file("nothing.h5");
  {
    TraceSink sink(head_of(counted_trace()), file.path);
    EXPECT_TRUE(says(error_of([&] { sink.finish(); }), "would hold no token"));
  }
  EXPECT_FALSE(std::filesystem::exists(file.path));
}

TEST(Merge, OfTheSlicesOfATraceIsTheTrace) {
  const RoutingTrace trace = counted_trace();
  RoutingTrace first = slice(trace, {.requests = parse_number_ranges("0-1")});
  RoutingTrace second = slice(trace, {.requests = parse_number_ranges("2")});
  first.step.clear();  // steps of the slices overlap, so they would be renumbered
  second.step.clear();
  for (int32_t& request : second.request) request = 0;  // as a recording of its own would have it
  RoutingTrace expected = trace;
  expected.step.clear();
  expect_same_arrays(merged({first, second}), expected);
}

TEST(Merge, KeepsRequestsAndStepsApartAndDomainsTogether) {
  RoutingTrace other = counted_trace();
  other.domains = {"cxx", "fr"};
  const RoutingTrace both = merged({counted_trace(), other});
  EXPECT_EQ(both.request[12], 3);
  EXPECT_EQ(both.step[12], 4);
  EXPECT_EQ(both.domains, (std::vector<std::string>{"de", "cxx", "fr"}));
  EXPECT_EQ(both.domain[12], 1);  // "cxx", which the other calls 0
  EXPECT_EQ(both.domain[13], 2);
}

TEST(Merge, LeavesOutWhatNotAllHave) {
  RoutingTrace other = counted_trace();
  other.step.clear();
  EXPECT_TRUE(merged({counted_trace(), other}).step.empty());
}

TEST(Merge, OfUnlikeTracesHasAllFaultsAtOnce) {
  RoutingTrace other = empty_trace(2, 2, 2, 4);
  const std::string error = error_of([&] { merged({counted_trace(), other, other}); });
  EXPECT_TRUE(says(error, "6 faults"));
  EXPECT_TRUE(says(error, "trace-2: has 4 experts, but trace-0 has 8"));
}

TEST(Convert, BackAndForthGivesTheSameBytes) {
  const TemporaryPath npz("back.npz");
  const TemporaryPath npz_again("again.npz");
  const TemporaryPath hdf5("forth.h5");
  const TemporaryPath hdf5_again("again.h5");
  RoutingTrace trace = counted_trace();
  trace.domains.clear();  // .npz holds no texts and no layer numbers
  trace.layer_numbers.clear();
  for (int32_t token = 0; token < 12; ++token) trace.position.push_back(token % 4);  // else they would be counted
  write_npz_trace(trace, npz.path);
  write_hdf5_trace(read_routing_trace(npz.path), hdf5.path);
  write_npz_trace(read_routing_trace(hdf5.path), npz_again.path);
  write_hdf5_trace(read_routing_trace(npz_again.path), hdf5_again.path);
  EXPECT_TRUE(bytes_of_file(npz.path) == bytes_of_file(npz_again.path));
  EXPECT_TRUE(bytes_of_file(hdf5.path) == bytes_of_file(hdf5_again.path));
}

}  // namespace
}  // namespace moesim
