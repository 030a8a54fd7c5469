#include "sim/config/reader.h"

#include <gtest/gtest.h>

#include "tests/sim/config/every_kind.h"

namespace moesim {
namespace {

using every_kind::EveryKind;
using every_kind::Inner;
using every_kind::Precision;

EveryKind read(std::string_view json) { return read_struct<EveryKind>(parse_json(json, "a.json"), "a.json"); }

// The faults of a file that has, besides this member, all that is required; the member stands on line 2.
std::string faults_with(const std::string& member) {
  try {
    read("{\"name\": \"n\", \"hbm\": \"1 GB/s\",\n" + member + "}");
  } catch (const ConfigError& error) {
    std::string faults;
    for (const Fault& fault : error.faults())
      faults += std::to_string(fault.line) + " " + fault.path + ": " + fault.message + "\n";
    return faults;
  }
  return "";
}

TEST(Reader, FillsEveryKindOfMember) {
  const EveryKind s = read(R"({
    "name": "n", "hbm": "3350 GB/s", "gpu": "h200", "flag": true, "i32": -2147483648, "i64": 9223372036854775807,
    "u64": 18446744073709551615, "real": 1, "launch": "3 us", "memory": "1 KiB", "speed": "2 Gflop/s", "precision": "bf16",
    "inner": {"low": 3, "high": 4}, "policy": {"policy": "greedy", "slack": 7}, "cap": "8 b/s", "maybe": {"high": 9},
    "inners": [{}, {"low": 0}], "reals": [], "policies": ["zero", {"policy": "greedy"}], "sizes": {"b": "2 B", "a": "1 B"},
    "lists": {"x": [1, -5], "y": []}})");
  EXPECT_EQ(s.hbm.bytes_per_s, 3350e9);
  EXPECT_EQ(s.gpu, "h200");
  EXPECT_TRUE(s.flag);
  EXPECT_EQ(s.i32, INT32_MIN);
  EXPECT_EQ(s.i64, INT64_MAX);
  EXPECT_EQ(s.u64, UINT64_MAX);
  EXPECT_EQ(s.real, 1.0);
  EXPECT_EQ(s.launch, 3_us);
  EXPECT_EQ(s.memory, 1_KiB);
  EXPECT_EQ(s.speed.flop_per_s, 2e9);
  EXPECT_EQ(s.precision, Precision::bf16);
  EXPECT_EQ(s.inner, (Inner{3, 4}));
  EXPECT_EQ(s.policy.name(), "greedy");
  EXPECT_EQ(s.cap, Rate{1});
  EXPECT_EQ(s.maybe, (Inner{1, 9}));
  EXPECT_EQ(s.inners, (std::vector<Inner>{{1, 2}, {0, 2}}));
  EXPECT_TRUE(s.reals.empty());  // a list that is given replaces the default
  EXPECT_EQ(s.policies[0].name(), "zero");
  EXPECT_EQ(s.sizes, (std::map<std::string, Bytes>{{"a", 1_B}, {"b", 2_B}}));
  EXPECT_EQ(s.lists.at("x"), (std::vector<int64_t>{1, -5}));
}

TEST(Reader, LeavesWhatIsNotGivenAtItsDefault) {
  EveryKind expected;
  expected.name = "n";
  expected.hbm = {1e9};
  EXPECT_EQ(read(R"({"$schema": "x", "name": "n", "hbm": "1 GB/s"})"), expected);
}

TEST(Reader, ReportsAllFaultsAtOnceByLine) {
  try {
    read("{\"hbm\": \"3350 Gb\",\n\"gpu\": \"h10\",\n\"kernel_lanch\": 1,\n\"inner\": {\"lo\": 1},\n\"real\": \"x\"}");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "a.json: 6 faults\n"
                 "  line 1: missing key \"name\"\n"
                 "  line 1 /hbm: \"3350 Gb\" is not a rate; write it as \"400 Gb/s\" or \"50 GB/s\"\n"
                 "  line 2 /gpu: unknown value \"h10\"; did you mean \"h100\"?\n"
                 "  line 3 /kernel_lanch: unknown key\n"
                 "  line 4 /inner/lo: unknown key; did you mean \"low\"?\n"
                 "  line 5 /real: type must be number, but is string");
  }
}

TEST(Reader, SaysWhichTypeIsWrong) {
  EXPECT_EQ(faults_with(R"("flag": 1)"), "2 /flag: type must be boolean, but is number\n");
  EXPECT_EQ(faults_with(R"("gpu": true)"), "2 /gpu: type must be string, but is boolean\n");
  EXPECT_EQ(faults_with(R"("i32": "5")"), "2 /i32: type must be number, but is string\n");
  EXPECT_EQ(faults_with(R"("precision": 8)"), "2 /precision: type must be string, but is number\n");
  EXPECT_EQ(faults_with(R"("inner": [])"), "2 /inner: type must be object, but is array\n");
  EXPECT_EQ(faults_with(R"("inners": {})"), "2 /inners: type must be array, but is object\n");
  EXPECT_EQ(faults_with(R"("sizes": [])"), "2 /sizes: type must be object, but is array\n");
  EXPECT_EQ(faults_with(R"("reals": [0, null])"), "2 /reals/1: type must be number, but is null\n");
  EXPECT_EQ(faults_with(R"("launch": null)"), "2 /launch: type must be string, but is null\n");
  EXPECT_EQ(faults_with(R"("policy": 1)"), "2 /policy: type must be string, but is number\n");
  EXPECT_EQ(faults_with(R"("policy": {"policy": 1})"), "2 /policy/policy: type must be string, but is number\n");
}

TEST(Reader, SaysWhichRangeIsLeft) {
  EXPECT_EQ(faults_with(R"("real": 1.5)"), "2 /real: must be between 0 and 1, but is 1.5\n");
  EXPECT_EQ(faults_with(R"("reals": [1, -0.5])"), "2 /reals/1: must be at least 0, but is -0.5\n");
  EXPECT_EQ(faults_with(R"("lists": {"a/b": [6]})"), "2 /lists/a~1b/0: must be between -5 and 5, but is 6\n");
  EXPECT_EQ(faults_with(R"("memory": "0 B")"), "2 /memory: must be above 0 B, but is 0 B\n");
  EXPECT_EQ(faults_with(R"("cap": "0 Gb/s")"), "2 /cap: must be above 0 B/s, but is 0 B/s\n");
  EXPECT_EQ(faults_with(R"("i32": 2147483648)"),
            "2 /i32: must be between -2147483648 and 2147483647, but is 2147483648\n");
  EXPECT_EQ(faults_with(R"("u64": -1)"), "2 /u64: must be between 0 and 18446744073709551615, but is -1\n");
  EXPECT_NE(faults_with(R"("i64": 9223372036854775808)"), "");
  EXPECT_NE(faults_with(R"("u64": 18446744073709551616)"), "");
  EXPECT_EQ(faults_with(R"("real": 1e-999)"), "2 /real: 1e-999 is too small for a double\n");
}

TEST(Reader, TakesWholeNumbersInAnySpellingAndNoOthers) {
  EXPECT_EQ(read(R"({"name": "n", "hbm": "1 B/s", "i32": 1e3, "i64": 2.0})").i32, 1000);
  EXPECT_EQ(faults_with(R"("i32": 1.5)"), "2 /i32: must be a whole number, but is 1.5\n");
}

TEST(Reader, TellsABareNumberThatItLacksAUnit) {
  EXPECT_EQ(faults_with(R"("launch": 5)"),
            "2 /launch: 5 has no unit; write the duration as a string such as \"1.5 us\" or \"20 ms\"\n");
}

TEST(Reader, SaysWhatAPolicyLacks) {
  EXPECT_EQ(faults_with(R"("policy": "gredy")"),
            "2 /policy: unknown sample policy \"gredy\"; did you mean \"greedy\"?\n");
  EXPECT_EQ(faults_with(R"("policy": {"slack": 1})"), "2 /policy: missing key \"policy\"\n");
  EXPECT_EQ(faults_with(R"("policy": {"policy": "greedy", "slak": 1, "delay": 1.5})"),
            "2 /policy/delay: 1.5 has no unit; write the duration as a string such as \"1.5 us\" or \"20 ms\"\n"
            "2 /policy/slak: unknown key; did you mean \"slack\"?\n");
  EXPECT_EQ(faults_with(R"("policy": {"policy": "zero", "slack": 1})"),
            "2 /policy/slack: unknown key; the only one is \"policy\"\n");
}

TEST(Reader, ChecksAStructAsAWholeOnlyWhenItsFieldsAreRight) {
  EXPECT_EQ(faults_with(R"("inners": [{"low": 7}])"), "2 /inners/0/low: must not be above high\n");
  EXPECT_EQ(faults_with(R"("inners": [{"low": 7, "high": "x"}])"),
            "2 /inners/0/high: type must be number, but is string\n");
}

TEST(Reader, TakesTheSchemaKeyOfEditorsAtTheTopOnly) {
  EXPECT_EQ(faults_with(R"("$schema": "s.json")"), "");
  EXPECT_EQ(faults_with(R"("inner": {"$schema": "s.json"})"),
            "2 /inner/$schema: unknown key; known are \"low\", \"high\"\n");
}

TEST(Reader, NamesTheFlagOfAFaultThatAFlagMade) {
  JsonNode root = parse_json(R"({"name": "n", "hbm": "1 GB/s"})", "a.json");
  set_pointer(root, "/inner/lw=5");
  set_pointer(root, "/real=7");
  try {
    read_struct<EveryKind>(root, "a.json");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "a.json: 2 faults\n"
                 "  --set /real: must be between 0 and 1, but is 7\n"
                 "  --set /inner/lw: unknown key; did you mean \"low\"?");
  }
}

TEST(Reader, GathersFaultsOfLaterChecksWithItsOwn) {
  const JsonNode root = parse_json("{\"name\": \"n\",\n\"hbm\": 1}", "a.json");
  EveryKind value;
  std::vector<Fault> faults;
  read_fields(root, Place{}, value, faults);
  faults.push_back(fault_at(root, "/name", "unknown model \"n\""));
  EXPECT_THROW(
      {
        try {
          throw_if_any("a.json", faults);
        } catch (const ConfigError& error) {
          EXPECT_EQ(error.faults().size(), 2u);
          EXPECT_EQ(error.faults()[0].line, 1);
          throw;
        }
      },
      ConfigError);
}

TEST(Reader, StopsCollectingAfterAThousandFaults) {
  std::string list = "\"reals\": [true";
  for (int i = 0; i < 5000; ++i) list += ", true";
  try {
    read("{" + list + "]}");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.faults().size(), 1000u);
  }
}

TEST(Reader, RefusesAnotherFormatVersionAlone) {
  const auto refusal = [](const char* json) {
    try {
      require_format_version(parse_json(json, "a.json"), 2, "a.json");
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal(R"({"format_version": 2, "more": 1})"), "");
  EXPECT_EQ(refusal(R"({"format_version": 3})"),
            "a.json: 1 fault\n  line 1 /format_version: is 3, but this moesim reads format_version 2");
  EXPECT_EQ(refusal(R"({"format_version": "2"})"),
            "a.json: 1 fault\n  line 1 /format_version: is string, but this moesim reads format_version 2");
  EXPECT_EQ(refusal("{}"),
            "a.json: 1 fault\n  line 1: missing key \"format_version\"; this moesim reads format_version 2");
  EXPECT_EQ(refusal("[]"), "a.json: must be an object, but is array");
}

}  // namespace
}  // namespace moesim
