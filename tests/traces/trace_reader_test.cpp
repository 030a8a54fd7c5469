#include "traces/trace_reader.h"

#include <gtest/gtest.h>

#include "tests/traces/trace_cases.h"
#include "traces/hdf5_file.h"
#include "traces/hdf5_handle.h"
#include "traces/synthetic.h"
#include "traces/trace_writer.h"

namespace moesim {
namespace {

// 3,000 tokens of 64 layers and top-8 of 16, which are two blocks; steps of 7 tokens, on 3 ranks.
RoutingTrace stepped_trace() {
  RoutingTrace trace = synthetic_trace({}, {.layers = 64, .experts = 16, .top_k = 8}, 1, 0, 3000);
  for (int32_t token = 0; token < 3000; ++token) {
    trace.step.push_back(2 * (token / 7));
    trace.rank.push_back(token % 3);
  }
  return trace;
}

RoutingTrace block_at(const RoutingTrace& trace, int64_t first, int64_t count) {
  RoutingTrace block = trace;
  block.tokens = count;
  const auto cut = [&](auto& values, int64_t row) {
    if (!values.empty()) values = {values.begin() + first * row, values.begin() + (first + count) * row};
  };
  cut(block.ids, trace.layers * trace.top_k);
  cut(block.gate, trace.layers * trace.top_k);
  for (const auto& column : columns(block)) cut(*column.values, 1);
  return block;
}

TEST(TraceWriter, GivesTheSameBytesHoweverTheTokensComeInBlocks) {
  const TemporaryPath whole("whole.h5");
  const TemporaryPath pieces("pieces.h5");
  RoutingTrace trace = synthetic_trace({}, {.layers = 64, .experts = 256, .top_k = 8}, 1, 0, 2000);  // 4 chunks
  for (int32_t token = 0; token < 2000; ++token) trace.step.push_back(token / 100);
  write_hdf5_trace(trace, whole.path);
  for (const int64_t piece : {1, 100, 777}) {
    TraceWriter writer(head_of(trace), pieces.path);
    for (int64_t first = 0; first < trace.tokens; first += piece)
      writer.append(block_at(trace, first, std::min(piece, trace.tokens - first)));
    writer.finish();
    EXPECT_EQ(bytes_of_file(pieces.path), bytes_of_file(whole.path)) << piece;
  }
}

TEST(TraceWriter, NeedsNotKnowHowManyTokensThereWillBe) {
  const TemporaryPath file("grown.h5");
  const RoutingTrace trace = stepped_trace();
  TraceHead head = head_of(trace);
  head.about.tokens = 0;
  TraceWriter writer(head, file.path);
  writer.append(trace);
  EXPECT_FALSE(std::filesystem::exists(file.path));  // nobody ever sees half a file
  writer.finish();
  expect_same_arrays(read_hdf5_trace(file.path), trace);
}

TEST(TraceWriter, ThatIsNotFinishedLeavesNothingBehind) {
  const TemporaryPath folder("unfinished");
  std::filesystem::create_directory(folder.path);
  {
    TraceWriter writer(head_of(stepped_trace()), folder.path + "/trace.h5");
    writer.append(stepped_trace());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

TEST(TraceReader, ReadsAnyRangeOfTokensAndOnlyTheArraysAskedFor) {
  const TemporaryPath file("ranges.h5");
  const RoutingTrace trace = stepped_trace();
  write_hdf5_trace(trace, file.path);
  TraceReader reader(file.path);
  Rng rng(1);
  for (int trial = 0; trial < 20; ++trial) {
    const int64_t first = rng.between(0, 2999);
    const int64_t count = rng.between(1, 3000 - first);
    expect_same_arrays(reader.read({first, count}, {}), block_at(trace, first, count));
  }
  const RoutingTrace ranks = reader.read({10, 5}, only_column("rank"));
  EXPECT_EQ(ranks.rank, (std::vector<int32_t>{1, 2, 0, 1, 2}));
  EXPECT_TRUE(ranks.ids.empty() && ranks.step.empty());
}

TEST(TraceReader, FindsTheTokensOfAStep) {
  const TemporaryPath file("steps.h5");
  write_hdf5_trace(stepped_trace(), file.path);
  TraceReader reader(file.path);
  ASSERT_LT(reader.block_tokens(), 2996);
  using Range = std::pair<int64_t, int64_t>;
  const Range kNone(-1, -1);
  const auto range = [&](int32_t step) {
    const std::optional<TokenRange> found = reader.tokens_of_step(step);
    return found ? std::pair(found->first, found->count) : kNone;
  };
  EXPECT_EQ(range(0), Range(0, 7));
  EXPECT_EQ(range(200), Range(700, 7));
  EXPECT_EQ(range(856), Range(2996, 4));  // 428 whole steps of 7 tokens, and 4 that are left
  EXPECT_EQ(range(201), kNone);
  EXPECT_EQ(range(INT32_MAX), kNone);
}

TEST(TraceReader, SaysWhereStepsFallOrThatThereAreNone) {
  const TemporaryPath file("falling.h5");
  RoutingTrace trace = stepped_trace();
  trace.step[1500] = 3;  // those before are at step 2 * (1499 / 7) = 428
  write_hdf5_trace(trace, file.path);
  TraceReader falling(file.path);
  EXPECT_TRUE(says(error_of([&] { falling.tokens_of_step(3); }),
                   "token 1500 is of step 3, but one before it is of step "
                   "428"));
  trace.step.clear();
  write_hdf5_trace(trace, file.path);
  TraceReader none(file.path);
  EXPECT_TRUE(says(error_of([&] { none.tokens_of_step(3); }), "/step is not recorded"));
}

TEST(TraceReader, CountsLikeALoopOverTheWholeTrace) {
  const TemporaryPath file("counted.h5");
  RoutingTrace trace = stepped_trace();
  trace.ids[5] = kDropped;
  write_hdf5_trace(trace, file.path);
  TraceReader reader(file.path);
  RankLoad load;
  for_each_block(reader, {}, [&](const RoutingTrace& block, int64_t) { add_load(block, load); });
  ASSERT_EQ(load.counts.size(), 3u);
  int64_t dropped = 0;
  for (int64_t layer = 0; layer < trace.layers; ++layer) {
    const std::vector<int64_t> expected = expert_load(trace, layer, all_tokens(trace));
    for (int64_t expert = 0; expert < trace.experts; ++expert)
      EXPECT_EQ(load.at(0, layer, expert) + load.at(1, layer, expert) + load.at(2, layer, expert),
                expected[size_t(expert)]);
    for (int64_t rank = 0; rank < 3; ++rank) dropped += load.at(rank, layer, trace.experts);
  }
  EXPECT_EQ(dropped, 1);
}

// More choices than a trace in memory may have: 2^31 is the most; this claims 2^33 and holds none.
TEST(TraceReader, WalksThroughATraceThatIsTooLargeForMemory) {
  const TemporaryPath file("large.h5");
  write_hdf5_trace(empty_trace(4, 1, 1, 8), file.path);
  {
    const Hdf5Handle open(H5Fopen(file.path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const Hdf5Handle ids(H5Dopen2(open.id(), "ids", H5P_DEFAULT), H5Dclose);
    const hsize_t shape[3] = {hsize_t{1} << 33, 1, 1};
    ASSERT_GE(H5Dset_extent(ids.id(), shape), 0);
  }
  EXPECT_TRUE(says(error_of([&] { read_hdf5_trace(file.path); }), "tokens are 8589934592"));
  TraceReader reader(file.path);
  EXPECT_EQ(reader.head().about.tokens, int64_t{1} << 33);
  const RoutingTrace last = reader.read({(int64_t{1} << 33) - 3, 3}, {});
  EXPECT_EQ(last.ids, (std::vector<uint16_t>{0, 0, 0}));  // what HDF5 gives for chunks that were never written
}

}  // namespace
}  // namespace moesim
