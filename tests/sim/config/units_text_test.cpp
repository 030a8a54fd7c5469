#include "sim/config/units_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <regex>

#include "sim/config/suggest.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

template <class T>
T parsed(std::string_view text) {
  T value{};
  EXPECT_EQ(parse_quantity(text, value), "") << text;
  return value;
}

template <class T>
std::string fault_of(std::string_view text) {
  T value{};
  return parse_quantity(text, value);
}

TEST(UnitsText, ReadsDurations) {
  EXPECT_EQ(parsed<Duration>("1.5 us"), 1'500'000_ps);
  EXPECT_EQ(parsed<Duration>("2us"), 2_us);
  EXPECT_EQ(parsed<Duration>("20 ms"), 20_ms);
  EXPECT_EQ(parsed<Duration>("1e-3 s"), 1_ms);
  EXPECT_EQ(parsed<Duration>("0 s"), 0_ps);
  EXPECT_EQ(parsed<Duration>("0e99999999999999999999 s"), 0_ps);
  EXPECT_EQ(parsed<Duration>("2 min"), 120_s);
  EXPECT_EQ(parsed<Duration>("0.5 h"), 1800_s);
  EXPECT_EQ(parsed<Duration>("9223372.036854775807 s"), Duration{INT64_MAX});
  // Part of a picosecond rounds up, however small it is.
  EXPECT_EQ(parsed<Duration>("1.0001 ns"), 1001_ps);
  EXPECT_EQ(parsed<Duration>("1e-400 s"), 1_ps);
}

TEST(UnitsText, ReadsSizesWithDecimalAndBinaryPrefixes) {
  EXPECT_EQ(parsed<Bytes>("80 GiB"), 80_GiB);
  EXPECT_EQ(parsed<Bytes>("80 GB").count, 80'000'000'000);
  EXPECT_EQ(parsed<Bytes>("1.5 KiB").count, 1536);
  EXPECT_EQ(parsed<Bytes>("7EB").count, 7'000'000'000'000'000'000);
  EXPECT_EQ(parsed<Bytes>("9223372036854775807 B").count, INT64_MAX);
}

TEST(UnitsText, ReadsRatesInBitsAndBytes) {
  EXPECT_EQ(parsed<Rate>("400 Gb/s"), 400_Gbps);
  EXPECT_EQ(parsed<Rate>("400Gbps"), 400_Gbps);
  EXPECT_EQ(parsed<Rate>("400 Gbit/s"), 400_Gbps);
  EXPECT_EQ(parsed<Rate>("50 GB/s"), 50_GBps);
  EXPECT_EQ(parsed<Rate>("1 MiB/s").bytes_per_s, 1048576.0);
  EXPECT_EQ(parsed<FlopRate>("989 Tflop/s").flop_per_s, 989e12);
  EXPECT_EQ(parsed<FlopRate>("1979 Top/s").flop_per_s, 1979e12);
  EXPECT_EQ(parsed<Percentage>("1%").fraction, 0.01);
  EXPECT_EQ(parsed<Percentage>("12.5 %").fraction, 0.125);
}

TEST(UnitsText, SaysWhatIsNotAQuantityAndHowToWriteOne) {
  EXPECT_EQ(fault_of<Rate>("3350 Gb"), "\"3350 Gb\" is not a rate; write it as \"400 Gb/s\" or \"50 GB/s\"");
  EXPECT_EQ(fault_of<Bytes>("80 Gb"), "\"80 Gb\" is not a size; write it as \"80 GiB\" or \"80 GB\"");
  EXPECT_EQ(fault_of<Duration>("5"), "\"5\" has no unit; write it as \"1.5 us\" or \"20 ms\"");
  EXPECT_EQ(fault_of<Duration>("-5 us"), "\"-5 us\" is negative");
  EXPECT_EQ(fault_of<FlopRate>("fast"), "\"fast\" is not a rate of operations; write it as \"989 Tflop/s\"");
  EXPECT_EQ(fault_of<Percentage>("0.01"), "\"0.01\" has no unit; write it as \"1%\" or \"0.5 %\"");
  EXPECT_EQ(fault_of<Bytes>("10 EB"), "\"10 EB\" is too large; the largest size is 8 EiB less one byte");
  EXPECT_EQ(fault_of<Duration>("107 h 3"), "\"107 h 3\" is not a duration; write it as \"1.5 us\" or \"20 ms\"");
  EXPECT_EQ(fault_of<Duration>("1e9 s"), "\"1e9 s\" is too large; the longest duration is 106 days");
  EXPECT_EQ(fault_of<Bytes>("1.00000000000000000001 GB"), "\"1.00000000000000000001 GB\" has more than 19 digits");
  EXPECT_EQ(fault_of<Rate>("1e290 GB/s"), "");
  EXPECT_EQ(fault_of<Rate>("1e308 GB/s"), "\"1e308 GB/s\" is too large or too small for a double");
  EXPECT_EQ(fault_of<Rate>("1e-999 GB/s"), "\"1e-999 GB/s\" is too large or too small for a double");
  for (const char* text : {"", " ", "nan us", "inf s", "NaN", "1.5.5 us", ".5 us", "5. us", "1,000 us", "0x10 us",
                           "5 US", "5 mus", "+5 us", "5e us", "5 us "})
    EXPECT_NE(fault_of<Duration>(text), "") << text;
  for (const char* text : {"5 KB", "5 mB", "5 kiB", "5 gB", "5 B/s"}) EXPECT_NE(fault_of<Bytes>(text), "") << text;
}

TEST(UnitsText, PrintsAsAPersonWouldWrite) {
  EXPECT_EQ(quantity_text(1'500'000_ps), "1.5 us");
  EXPECT_EQ(quantity_text(120_s), "120 s");
  EXPECT_EQ(quantity_text(Duration{}), "0 s");
  EXPECT_EQ(quantity_text(80_GiB), "80 GiB");
  EXPECT_EQ(quantity_text(Bytes{80'000'000'000}), "80 GB");
  EXPECT_EQ(quantity_text(Bytes{1001}), "1001 B");
  EXPECT_EQ(quantity_text(400_Gbps), "50 GB/s");
  EXPECT_EQ(quantity_text(Rate{3.35e12}), "3.35 TB/s");
  EXPECT_EQ(quantity_text(Rate{0.001}), "0.001 B/s");
  EXPECT_EQ(quantity_text(FlopRate{989e12}), "989 Tflop/s");
  EXPECT_EQ(quantity_text(Percentage{0.01}), "1%");
  EXPECT_EQ(quantity_text(Percentage{0.00125}), "0.125%");
  EXPECT_EQ(quantity_text(Percentage{2}), "200%");
}

template <class T>
void expect_round_trip(T value) {
  EXPECT_EQ(parsed<T>(quantity_text(value)), value) << quantity_text(value);
}

TEST(UnitsText, PrintsWhatReadsBackToTheSameValue) {
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const auto whole = int64_t(rng.next() >> rng.between(1, 63));
    expect_round_trip(Duration{whole});
    expect_round_trip(Bytes{whole});
    expect_round_trip(Bytes{whole >> 30 << 30});
    expect_round_trip(Rate{double(whole)});
    const double real = std::bit_cast<double>(rng.next() >> 1);
    if (!std::isnormal(real)) continue;
    expect_round_trip(Rate{real});
    expect_round_trip(FlopRate{real});
    expect_round_trip(Percentage{real});
  }
}

// Editors judge by the pattern, so it must hold for what the parser takes, and for nothing but that and what fails for
// its value.
template <class T>
void expect_pattern_agrees(const std::string& text) {
  static const std::regex pattern(quantity_kind(T{}).pattern);
  const std::string fault = fault_of<T>(text);
  const bool beyond_patterns =
      fault.find("too large") != std::string::npos || fault.find("19 digits") != std::string::npos;
  EXPECT_EQ(fault.empty() || beyond_patterns, std::regex_match(text, pattern)) << text << ": " << fault;
}

TEST(UnitsText, PatternsOfTheSchemaAgreeWithTheParser) {
  constexpr const char* kPieces[] = {"1",    "20",     "0",     ".",    "e",  "E",      "+",   "-",   " ",
                                     "k",    "M",      "Gi",    "K",    "T",  "b/s",    "bps", "B",   "s",
                                     "flop", "flop/s", "bit/s", "op/s", "us", "/s",     "h",   "min", "n",
                                     "ns",   "iB",     "B/s",   "m",    "ms", "FLOP/s", "%"};
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string text = rng.below(8) == 0 ? "" : "1.5";
    for (int64_t piece = rng.between(0, 4); piece > 0; --piece) text += kPieces[rng.below(std::size(kPieces))];
    expect_pattern_agrees<Duration>(text);
    expect_pattern_agrees<Bytes>(text);
    expect_pattern_agrees<Rate>(text);
    expect_pattern_agrees<FlopRate>(text);
    expect_pattern_agrees<Percentage>(text);
  }
}

TEST(Suggest, FindsTheNearestNameWithinAThirdOfItsLetters) {
  const std::vector<std::string> names = {"hbm", "kernel_launch", "name"};
  EXPECT_EQ(nearest_name("hbn", names), "hbm");                     // one letter changed
  EXPECT_EQ(nearest_name("HBM", names), "hbm");                     // case does not count
  EXPECT_EQ(nearest_name("nmae", names), "name");                   // two neighbours swapped are one edit
  EXPECT_EQ(nearest_name("kernel_lanch", names), "kernel_launch");  // one letter left out
  EXPECT_EQ(nearest_name("kernel_time", names), "");                // 6 of 13 letters
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("x", {"y"}), "");  // one letter is near to every other
  EXPECT_EQ(nearest_name(std::string(100'000, 'a'), names), "");
}

TEST(Suggest, ListsTheNamesWhenNoneIsNearAndTheyAreFew) {
  EXPECT_EQ(suggestion("hbn", {"hbm"}), "; did you mean \"hbm\"?");
  EXPECT_EQ(suggestion("zzzz", {"ab", "cd"}), "; known are \"ab\", \"cd\"");
  EXPECT_EQ(suggestion("zzzz", {"ab"}), "; the only one is \"ab\"");
  EXPECT_EQ(suggestion("zzzz", {}), "");
  EXPECT_EQ(suggestion("zzzz", std::vector<std::string>(17, "ab")), "");
}

}  // namespace
}  // namespace moesim
