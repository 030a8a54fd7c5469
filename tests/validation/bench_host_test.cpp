// The parts of moesim-bench that need no GPU: its command line, its file, how ranks meet, what it reads of the machine.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "validation/bench/machine.h"
#include "validation/bench/meeting.h"
#include "validation/bench/options.h"
#include "validation/bench/recorder.h"

namespace moesim::bench {
namespace {

const std::vector<std::string> known{"gemm", "copies"};

std::string fault_of(const std::vector<std::string>& arguments) {
  try {
    parse_options(arguments, known);
  } catch (const ArgumentError& error) {
    return error.what();
  }
  return "";
}

TEST(BenchOptions, AreTheDefaultsUnlessSaid) {
  const Options options = parse_options({}, known);
  EXPECT_EQ(options.out, "moesim-bench.json");
  EXPECT_TRUE(options.suites.empty());
  EXPECT_EQ(options.budget_s, 220);
  EXPECT_FALSE(options.checks_only);
}

TEST(BenchOptions, ReadAllArguments) {
  const Options options = parse_options(
      {"--out", "a b.json", "--suites", "gemm,copies", "--gpus=2", "--budget", "7.5", "--seed", "3"}, known);
  EXPECT_EQ(options.out, "a b.json");
  EXPECT_EQ(options.suites, known);
  EXPECT_EQ(options.gpus, 2);
  EXPECT_EQ(options.budget_s, 7.5);
  EXPECT_EQ(options.seed, 3);
  EXPECT_EQ(options.command, "moesim-bench --out 'a b.json' --suites gemm,copies --gpus=2 --budget 7.5 --seed 3");
}

TEST(BenchOptions, QuickIsABudgetUnlessOneIsGiven) {
  EXPECT_EQ(parse_options({"--quick"}, known).budget_s, 45);
  EXPECT_EQ(parse_options({"--quick", "--budget", "9"}, known).budget_s, 9);
}

TEST(BenchOptions, ChecksMayBeAllThereIs) {
  EXPECT_TRUE(parse_options({"--check"}, known).checks_only);
  EXPECT_EQ(parse_options({"--check"}, known).checks, Checks::full);
  EXPECT_TRUE(parse_options({"--check-small"}, known).checks_only);
  EXPECT_EQ(parse_options({"--check-small"}, known).checks, Checks::small);
}

TEST(BenchOptions, WrongOnesAreNamed) {
  EXPECT_EQ(fault_of({"--suites", "gemm,copis"}), "there is no suite 'copis'; there are gemm, copies");
  EXPECT_EQ(fault_of({"--suites", ","}), "--suites names no suite");
  EXPECT_EQ(fault_of({"--gpus", "0"}), "--gpus must be at least 1");
  EXPECT_EQ(fault_of({"--budget", "-1"}), "--budget must be above 0");
  EXPECT_EQ(fault_of({"--budget", "inf"}), "--budget must be above 0");
  EXPECT_NE(fault_of({"--gpus", "two"}).find("--gpus"), std::string::npos);
  EXPECT_NE(fault_of({"--bugdet", "1"}).find("--bugdet"), std::string::npos);
  EXPECT_NE(fault_of({"stray"}), "");
}

// A file of its own, gone afterwards.
struct File {
  std::string path = (std::filesystem::path(testing::TempDir()) /
                      ("bench_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".json"))
                         .string();
  File() { remove(); }
  ~File() { remove(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void remove() const {
    std::filesystem::remove(path);
    std::filesystem::remove(path + ".partial");
  }
  nlohmann::json read() const { return nlohmann::json::parse(std::ifstream(path)); }
};

TEST(BenchRecorder, WritesWhatItWasGiven) {
  const File file;
  Recorder recorder(file.path, 10);
  recorder.describe({{"format", "moesim-bench"}, {"format_version", 1}});
  recorder.add({{"kind", "gemm"}, {"m", 16}, {"samples_us", {1.23456, 2.0}}});
  recorder.add({{"kind", "moe_layer"}, {"phases_us", {{"gate", {0.12349}}}}, {"skew", 0.12345}});
  recorder.add({{"kind", "check"}, {"kernel", "swiglu"}, {"error", 1e-3}, {"bound", 1e-2}});
  recorder.add({{"kind", "skipped"}, {"suite", "collectives"}, {"why", "one GPU"}});
  EXPECT_FALSE(std::filesystem::exists(file.path));  // until it is finished
  recorder.finish();
  EXPECT_FALSE(std::filesystem::exists(file.path + ".partial"));
  const nlohmann::json all = file.read();
  EXPECT_EQ(all["format"], "moesim-bench");
  EXPECT_EQ(all["finished"], true);
  EXPECT_EQ(all["records"].size(), 2);
  // Times have three decimals; what is no time stays as it is.
  EXPECT_EQ(all["records"][0]["samples_us"], (nlohmann::json{1.235, 2.0}));
  EXPECT_EQ(all["records"][1]["phases_us"]["gate"][0], 0.123);
  EXPECT_EQ(all["records"][1]["skew"], 0.12345);
  EXPECT_EQ(all["checks"], (nlohmann::json{{{"kernel", "swiglu"}, {"error", 1e-3}, {"bound", 1e-2}}}));
  EXPECT_EQ(all["skipped"][0]["why"], "one GPU");
  EXPECT_FALSE(recorder.failed());
}

TEST(BenchRecorder, AnEmptyRunIsAWholeFile) {
  const File file;
  Recorder recorder(file.path, 10);
  recorder.finish();
  EXPECT_EQ(file.read()["records"], nlohmann::json::array());
}

TEST(BenchRecorder, AWrongKernelOrAFailedSuiteIsAFailure) {
  const File file;
  Recorder wrong(file.path, 10);
  wrong.add({{"kind", "check"}, {"error", 2e-2}, {"bound", 1e-2}});
  EXPECT_TRUE(wrong.failed());
  Recorder not_a_number(file.path, 10);
  not_a_number.add({{"kind", "check"}, {"error", std::nan("")}, {"bound", 1e-2}});
  EXPECT_TRUE(not_a_number.failed());
  Recorder failed(file.path, 10);
  failed.add_failure("gemm", "out of memory");
  EXPECT_TRUE(failed.failed());
  failed.finish();
  EXPECT_EQ(file.read()["failures"][0]["error"], "out of memory");
}

TEST(BenchRecorder, WritesNothingWithoutAName) {
  Recorder recorder("", 10);
  recorder.add({{"kind", "gemm"}});
  recorder.finish();
}

TEST(BenchRecorder, SaysAtOnceThatAFileCannotBeWritten) {
  EXPECT_THROW(Recorder("/nonexistent/folder/file.json", 10), ArgumentError);
}

// Of 0.5 s a suite of weight 1 before others of weight 99 gets 5 ms; the last one gets all that is left.
TEST(BenchRecorder, SuitesShareTheTimeThatIsLeft) {
  Recorder recorder("", 0.5);
  recorder.begin_suite("first", 1, 99);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(recorder.out_of_time());
  recorder.end_suite();
  recorder.begin_suite("last", 1, 0);
  EXPECT_EQ(recorder.out_of_time(), recorder.seconds() >= 0.5);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(recorder.out_of_time());
}

TEST(BenchMeeting, GivesAllTheLargestOfEachPlace) {
  constexpr int threads = 4;
  constexpr int rounds = 200;
  Meeting meeting(threads);
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> running;
  for (int thread = 0; thread < threads; ++thread)
    running.emplace_back([&, thread] {
      for (int round = 0; round < rounds; ++round) {
        // In round r thread t brings (t + r) mod 4 and -t: the largest are 3 and 0.
        std::vector<double> values{double((thread + round) % threads), -double(thread), double(round)};
        meeting.maximum(values);
        if (values != std::vector<double>{threads - 1, 0, double(round)}) ++wrong;
      }
    });
  running.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(BenchMeeting, ThrowsWhereOneWillNeverCome) {
  Meeting meeting(2);
  std::jthread fails([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    meeting.abandon();
  });
  EXPECT_THROW(meeting.wait(), Abandoned);
  EXPECT_THROW(meeting.wait(), Abandoned);  // whoever comes later too
  fails.join();
  meeting.reset();
  std::jthread other([&] { meeting.wait(); });
  EXPECT_NO_THROW(meeting.wait());
}

TEST(BenchMachine, ReadsWhatNvidiaSmiPrints) {
  const auto values = values_of_line("580.159.04, 1980, [N/A], 700.00, 2619\n", {"driver", "sm", "fan", "watts"});
  EXPECT_EQ(values.dump(), R"({"driver":"580.159.04","sm":1980.0,"watts":700.0})");
  EXPECT_TRUE(values_of_line("", {"driver"}).empty());
  EXPECT_TRUE(values_of_line("[Not Supported]", {"driver"}).empty());
}

TEST(BenchMachine, CountsSocketsCoresAndThreads) {
  std::string text;
  // Two sockets of two cores of two threads.
  for (int thread = 0; thread < 8; ++thread)
    text += "processor\t: " + std::to_string(thread) +
            "\nmodel name\t: Xeon \t\nphysical id\t: " + std::to_string(thread / 4) +
            "\ncore id\t\t: " + std::to_string(thread % 4 / 2) + "\n\n";
  const CpuDescription cpu = read_cpuinfo(text);
  EXPECT_EQ(cpu.model, "Xeon");
  EXPECT_EQ(cpu.sockets, 2);
  EXPECT_EQ(cpu.cores, 4);
  EXPECT_EQ(cpu.threads, 8);
  // Virtual machines may name neither.
  const CpuDescription bare = read_cpuinfo("processor : 0\nprocessor : 1\n");
  EXPECT_EQ(bare.sockets, 1);
  EXPECT_EQ(bare.cores, 2);
}

TEST(BenchMachine, GivesTheOutputOfACommandThatWorks) {
  EXPECT_EQ(output_of("printf 'a\\nb'"), "a\nb");
  EXPECT_EQ(output_of("printf a; false"), "");
  EXPECT_EQ(output_of("no-such-command-anywhere"), "");
}

}  // namespace
}  // namespace moesim::bench
