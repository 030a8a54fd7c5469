#include "traces/hdf5_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <stdexcept>

#include "tests/traces/trace_cases.h"
#include "traces/half.h"
#include "traces/hdf5_handle.h"
#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

void set_attribute(const std::string& path, const char* name, int64_t value) {
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  H5Adelete(file.id(), name);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(file.id(), name, H5T_STD_I64LE, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  ASSERT_GE(H5Awrite(attribute.id(), H5T_NATIVE_INT64, &value), 0);
}

void remove_dataset(const std::string& path, const char* name) {
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  ASSERT_GE(H5Ldelete(file.id(), name, H5P_DEFAULT), 0);
}

// A dataset of that shape without a single byte of data, in chunks that are never written.
void add_hollow_dataset(const std::string& path, const char* name, std::vector<hsize_t> shape) {
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  const Hdf5Handle space(H5Screate_simple(int(shape.size()), shape.data(), nullptr), H5Sclose);
  const Hdf5Handle how(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const std::vector<hsize_t> chunk(shape.size(), 1);
  H5Pset_chunk(how.id(), int(shape.size()), chunk.data());
  const Hdf5Handle dataset(H5Dcreate2(file.id(), name, H5T_STD_U8LE, space.id(), H5P_DEFAULT, how.id(), H5P_DEFAULT),
                           H5Dclose);
  ASSERT_TRUE(bool(dataset));
}

std::string read_error(const std::string& path) {
  return error_of([&] { read_routing_trace(path); });
}

RoutingTrace trace_of_seed(uint64_t seed) {
  Rng rng(seed);
  return random_trace(rng, 6, true);
}

TEST(Hdf5File, GivesBackWhatWasWritten) {
  const TemporaryPath file("round.h5");
  for (const int64_t experts : {6, 255, 256, 257, 65535})  // 8 bits with a marker, 8 without, 16 bits
    for (const bool drops : {false, true}) {
      SCOPED_TRACE(testing::Message() << experts << " experts, drops: " << drops);
      Rng rng(uint64_t(experts) * 2 + drops);
      const RoutingTrace trace = random_trace(rng, experts, drops);
      write_hdf5_trace(trace, file.path);
      const RoutingTrace read = read_routing_trace(file.path);
      expect_same_arrays(read, trace);
      EXPECT_EQ(read.domains, trace.domains);
      EXPECT_EQ(read.layer_numbers, trace.layer_numbers);
      EXPECT_EQ(read.model + read.source + read.recorded, trace.model + trace.source + trace.recorded);
    }
}

TEST(Hdf5File, KeepsGatesThatAreHalvesInHalfTheSpaceAndExactly) {
  const TemporaryPath file("half.h5");
  RoutingTrace trace = trace_of_seed(3);
  for (float& weight : trace.gate) weight = float_of_half(half_of_float(weight));
  write_hdf5_trace(trace, file.path);
  EXPECT_EQ(read_hdf5_trace(file.path).gate, trace.gate);
}

TEST(Hdf5File, OfTheSameTraceHasTheSameBytes) {
  const TemporaryPath first("first.h5");
  const TemporaryPath second("second.h5");
  write_hdf5_trace(trace_of_seed(4), first.path);
  write_hdf5_trace(trace_of_seed(4), second.path);
  EXPECT_EQ(bytes_of_file(first.path), bytes_of_file(second.path));
}

TEST(Hdf5File, ThatCannotBeWrittenLeavesNothingBehind) {
  const TemporaryPath folder("folder");
  std::filesystem::create_directory(folder.path);
  std::filesystem::create_directory(folder.path + "/taken");
  EXPECT_EQ(error_of([&] { write_hdf5_trace(trace_of_seed(5), folder.path + "/taken"); }),
            folder.path + "/taken: cannot be written");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}), 1);
}

TEST(Hdf5File, OfAnotherVersionIsRefused) {
  const TemporaryPath file("version.h5");
  write_hdf5_trace(trace_of_seed(6), file.path);
  set_attribute(file.path, "format_version", 2);
  EXPECT_TRUE(says(read_error(file.path), "format_version: is 2, but this moesim reads version 1"));
}

TEST(Hdf5File, WithoutItsParts_IsRefusedByName) {
  const TemporaryPath file("parts.h5");
  {
    const Hdf5Handle empty(H5Fcreate(file.path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  }
  EXPECT_TRUE(says(read_error(file.path), "format_version: attribute is missing"));
  write_hdf5_trace(trace_of_seed(7), file.path);
  remove_dataset(file.path, "ids");
  EXPECT_TRUE(says(read_error(file.path), "/ids: dataset is missing"));
}

TEST(Hdf5File, WhoseCountsContradictEachOther_IsRefused) {
  const TemporaryPath file("counts.h5");
  RoutingTrace trace = empty_trace(4, 2, 2, 8);
  write_hdf5_trace(trace, file.path);
  set_attribute(file.path, "top_k", 3);
  EXPECT_TRUE(says(read_error(file.path), "top_k: attribute is 3, but /ids has 2 choices a token"));

  trace.ids[0] = 7;
  write_hdf5_trace(trace, file.path);
  set_attribute(file.path, "experts", 7);
  EXPECT_TRUE(says(read_error(file.path), "token 0, layer 0 chooses expert 7, but there are 7"));

  write_hdf5_trace(trace, file.path);
  add_hollow_dataset(file.path, "token", {5});
  EXPECT_TRUE(says(read_error(file.path), "/token: has 5 values, but /ids has 4 tokens"));
}

// 2^40 tokens and 2^28 x 16 choices, claimed by files of a few kilobytes.
TEST(Hdf5File, ThatClaimsToBeHugeIsRefusedBeforeItIsRead) {
  const TemporaryPath file("huge.h5");
  for (const std::vector<hsize_t>& shape : {std::vector<hsize_t>{hsize_t{1} << 40, 1, 1}, {hsize_t{1} << 28, 4, 4}}) {
    write_hdf5_trace(empty_trace(4, 2, 2, 8), file.path);
    remove_dataset(file.path, "ids");
    add_hollow_dataset(file.path, "ids", shape);
    set_attribute(file.path, "top_k", int64_t(shape[2]));
    EXPECT_NE(read_error(file.path), "");
  }
}

TEST(Hdf5File, MayNotMakeTheReaderOpenAnotherFile) {
  const TemporaryPath file("link.h5");
  const TemporaryPath target("target.h5");
  write_hdf5_trace(empty_trace(4, 2, 2, 8), file.path);
  write_hdf5_trace(empty_trace(4, 2, 2, 8), target.path);
  remove_dataset(file.path, "ids");
  {
    const Hdf5Handle open(H5Fopen(file.path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    ASSERT_GE(H5Lcreate_external(target.path.c_str(), "/ids", open.id(), "ids", H5P_DEFAULT, H5P_DEFAULT), 0);
  }
  EXPECT_TRUE(says(read_error(file.path), "/ids: is a link"));
}

TEST(Hdf5File, MayNotKeepItsDataInAnotherFile) {
  const TemporaryPath file("external.h5");
  const TemporaryPath data("external.bin");
  write_bytes(data.path, "0123");
  write_hdf5_trace(empty_trace(4, 2, 2, 8), file.path);
  {
    const Hdf5Handle open(H5Fopen(file.path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const hsize_t tokens = 4;
    const Hdf5Handle space(H5Screate_simple(1, &tokens, nullptr), H5Sclose);
    const Hdf5Handle how(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_external(how.id(), data.path.c_str(), 0, 4);
    const Hdf5Handle dataset(
        H5Dcreate2(open.id(), "rank", H5T_STD_U8LE, space.id(), H5P_DEFAULT, how.id(), H5P_DEFAULT), H5Dclose);
    ASSERT_TRUE(bool(dataset));
  }
  EXPECT_TRUE(says(read_error(file.path), "/rank: lies in another file"));
}

TEST(Hdf5File, CutOffAnywhereIsRefused) {
  const TemporaryPath file("cut.h5");
  write_hdf5_trace(trace_of_seed(8), file.path);
  const std::string whole = bytes_of_file(file.path);
  for (size_t kept = 1; kept < whole.size(); kept += whole.size() / 40 + 1) {
    SCOPED_TRACE(kept);
    write_bytes(file.path, whole.substr(0, kept));
    EXPECT_NE(read_error(file.path), "");
  }
}

// Whatever a flipped bit does to HDF5's parser, here it is a sound trace or a ConfigError.
TEST(Hdf5File, WithFlippedBitsNeverCrashesTheReader) {
  const TemporaryPath file("flipped.h5");
  write_hdf5_trace(trace_of_seed(9), file.path);
  const std::string whole = bytes_of_file(file.path);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string bytes = whole;
    for (uint64_t flips = 1 + rng.below(8); flips > 0; --flips)
      bytes[rng.below(bytes.size())] ^= char(1 << rng.below(8));
    write_bytes(file.path, bytes);
    try {
      EXPECT_TRUE(check_trace(read_hdf5_trace(file.path, {.cpu_seconds = 5})).empty());
    } catch (const ConfigError&) {
    }
  }
}

// How a child ends that does that work and is asked nothing.
std::string end_of(const ChildLimits& limits, const std::function<void()>& work) {
  ChildProcess child(limits, [&](int, int) { work(); });
  char nothing = 0;
  EXPECT_EQ(read(child.replies(), &nothing, 1), 0);  // until it has closed its end
  return child.end();
}

TEST(ChildProcess, ThatCrashesHangsOrThrowsIsReportedInWords) {
  EXPECT_EQ(end_of({}, [] {}), "");
  EXPECT_EQ(end_of({}, [] { kill(getpid(), SIGSEGV); }), "was killed by signal 11");
  EXPECT_EQ(end_of({}, [] { throw std::runtime_error("no"); }), "ended with status 3");
  const auto spin = [] {
    volatile int turns = 0;  // which no compiler may see through
    while (turns >= 0) turns = 1 - turns;
  };
  EXPECT_EQ(end_of({.cpu_seconds = 1}, spin), "used more than 1 s of CPU time");
}

TEST(ChildProcess, ThatIsGoneIsAskedInVain) {
  ChildProcess child({}, [](int, int) {});
  char nothing = 0;
  EXPECT_EQ(read(child.replies(), &nothing, 1), 0);
  int asked = 0;  // the end of its process may come a little later than that of its work; this process lives on
  for (; asked < 1000 && child.ask(std::as_bytes(std::span(&nothing, 1))); ++asked) usleep(10000);
  EXPECT_LT(asked, 1000);
  EXPECT_EQ(child.end(), "");
}

TEST(ChildProcess, IsKilledWithItsObject) {
  const auto begin = std::chrono::steady_clock::now();
  {
    const ChildProcess child({}, [](int, int) { sleep(60); });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(RoutingTraceFile, IsToldByItsContentNotItsName) {
  const TemporaryPath file("misnamed.npz");
  write_hdf5_trace(trace_of_seed(10), file.path);
  expect_same_arrays(read_routing_trace(file.path), trace_of_seed(10));
}

TEST(RoutingTraceFile, SaysWhatIsWrongWithAPath) {
  const TemporaryPath path("path");
  EXPECT_EQ(read_error(path.path), path.path + ": there is no such file");
  write_bytes(path.path, "");
  EXPECT_EQ(read_error(path.path), path.path + ": is empty");
  write_bytes(path.path, "token,layer,expert\n");
  EXPECT_EQ(read_error(path.path), path.path + ": is no routing trace: neither HDF5 nor .npz by its first bytes");
  write_bytes(path.path, "\x93NUMPY\x01 and so on");
  EXPECT_TRUE(says(read_error(path.path), "bare .npy"));
  std::filesystem::remove(path.path);
  std::filesystem::create_directory(path.path);
  EXPECT_EQ(read_error(path.path), path.path + ": is a directory, not a file");
  std::filesystem::remove(path.path);
  ASSERT_EQ(mkfifo(path.path.c_str(), 0600), 0);
  EXPECT_EQ(read_error(path.path), path.path + ": is no regular file");
}

}  // namespace
}  // namespace moesim
