#include "sim/config/units_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "sim/config/error.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

#define MOESIM_NUMBER R"(^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)? *)"
constexpr QuantityKind kDuration = {"duration", R"("1.5 us" or "20 ms")", MOESIM_NUMBER "(ps|ns|us|ms|s|min|h)$"};
constexpr QuantityKind kBytes = {"size", R"("80 GiB" or "80 GB")", MOESIM_NUMBER "([kMGTPE]|[KMGTPE]i)?B$"};
constexpr QuantityKind kRate = {"rate", R"("400 Gb/s" or "50 GB/s")",
                                MOESIM_NUMBER "([kMGTPE]|[KMGTPE]i)?(b/s|bit/s|bps|B/s)$"};
constexpr QuantityKind kFlopRate = {"rate of operations", R"("989 Tflop/s")",
                                    MOESIM_NUMBER "[kMGTPE]?(flop/s|FLOP/s|op/s)$"};
constexpr QuantityKind kPercentage = {"percentage", R"("1%" or "0.5 %")", MOESIM_NUMBER "%$"};
#undef MOESIM_NUMBER

// A unit is factor * 2^binary * 10^decimal of what the value counts.
struct Unit {
  std::string_view name;
  int decimal = 0;
  int binary = 0;
  uint64_t factor = 1;
};

// Longer names first where one ends like another.
constexpr Unit kTimeUnits[] = {{"ps", 0}, {"ns", 3},          {"us", 6},         {"ms", 9},
                               {"s", 12}, {"min", 12, 0, 60}, {"h", 12, 0, 3600}};
constexpr Unit kByteUnits[] = {{"B"}};
constexpr Unit kRateUnits[] = {{"b/s", 0, -3}, {"bit/s", 0, -3}, {"bps", 0, -3}, {"B/s"}};
constexpr Unit kFlopUnits[] = {{"flop/s"}, {"FLOP/s"}, {"op/s"}};
constexpr Unit kPercentUnits[] = {{"%", -2}};
constexpr Unit kDecimalPrefixes[] = {{""}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Unit kBinaryPrefixes[] = {{"Ki", 0, 10}, {"Mi", 0, 20}, {"Gi", 0, 30},
                                    {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60}};

std::optional<Unit> find_unit(std::string_view name, std::span<const Unit> units, bool decimal, bool binary) {
  for (Unit unit : units) {
    if (!name.ends_with(unit.name)) continue;
    const std::string_view prefix = name.substr(0, name.size() - unit.name.size());
    if (prefix.empty()) return unit;
    for (const Unit& known : kDecimalPrefixes)
      if (decimal && prefix == known.name) return unit.decimal += known.decimal, unit;
    for (const Unit& known : kBinaryPrefixes)
      if (binary && prefix == known.name) return unit.binary += known.binary, unit;
  }
  return {};
}

constexpr size_t kDigitsMax = 19;  // as many as the largest int64 has; more would overflow the exact arithmetic below

// digits * 10^exponent; no zero stands at either end, and no digit stands for zero.
struct Decimal {
  std::string digits;
  int64_t exponent = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view& text) {
  const size_t length = size_t(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

// Reads "1.5e3" off the front. Its exponent is clamped where it is absurd, so that nothing later overflows.
std::optional<Decimal> take_number(std::string_view& text) {
  const std::string_view whole = take_digits(text);
  if (whole.empty()) return {};
  std::string_view fraction;
  if (text.size() >= 2 && text[0] == '.' && is_digit(text[1])) {
    text.remove_prefix(1);
    fraction = take_digits(text);
  }
  Decimal number{std::string(whole) + std::string(fraction), -int64_t(fraction.size())};
  const size_t sign = text.size() >= 2 && (text[1] == '+' || text[1] == '-') ? 1 : 0;
  if (text.size() > 1 + sign && (text[0] == 'e' || text[0] == 'E') && is_digit(text[1 + sign])) {  // not the E of EB
    const bool negative = text[1] == '-';
    text.remove_prefix(1 + sign);
    const std::string_view digits = take_digits(text);
    int64_t exponent = 0;
    for (const char digit : digits) exponent = std::min<int64_t>(exponent * 10 + (digit - '0'), 1'000'000'000);
    number.exponent += negative ? -exponent : exponent;
  }
  number.digits.erase(0, std::min(number.digits.find_first_not_of('0'), number.digits.size()));
  while (!number.digits.empty() && number.digits.back() == '0') {
    number.digits.pop_back();
    ++number.exponent;
  }
  return number;
}

struct Parsed {
  Decimal number;
  Unit unit;
  std::string fault;
};

std::string hint(const QuantityKind& kind) { return std::string("; write it as ") + kind.examples; }

// Splits the text into number and unit, or says what is wrong with it.
Parsed parse_text(std::string_view text, const QuantityKind& kind, std::span<const Unit> units, bool decimal,
                  bool binary) {
  const std::string not_one = in_quotes(text) + " is not a " + kind.noun + hint(kind);
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (negative) rest.remove_prefix(1);
  const std::optional<Decimal> number = take_number(rest);
  if (!number) return {{}, {}, not_one};
  if (number->digits.size() > kDigitsMax)
    return {{}, {}, fmt::format("{} has more than {} digits", in_quotes(text), kDigitsMax)};
  if (rest.empty()) return {{}, {}, in_quotes(text) + " has no unit" + hint(kind)};
  while (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  const std::optional<Unit> unit = find_unit(rest, units, decimal, binary);
  if (!unit) return {{}, {}, not_one};
  if (negative) return {{}, {}, in_quotes(text) + " is negative"};
  return {*number, *unit, ""};
}

// The number of base units, exactly and rounded up; nothing if it is beyond int64.
std::optional<int64_t> whole_units(const Parsed& parsed) {
  if (parsed.number.digits.empty()) return 0;
  unsigned __int128 units = 0;
  for (const char digit : parsed.number.digits) units = units * 10 + unsigned(digit - '0');
  int64_t exponent = parsed.number.exponent + parsed.unit.decimal;
  bool rounds_up = false;
  units = (units * parsed.unit.factor) << parsed.unit.binary;  // < 10^19 * 3600 or 10^19 * 2^60: fits 128 bits
  for (; exponent > 0; --exponent) {
    units *= 10;
    if (units > INT64_MAX) return {};
  }
  for (; exponent < 0 && units > 0; ++exponent) {
    rounds_up = rounds_up || units % 10 != 0;
    units /= 10;
  }
  units += rounds_up ? 1 : 0;
  if (units > INT64_MAX) return {};
  return int64_t(units);
}

std::string parse_whole(std::string_view text, const Parsed& parsed, const char* limit, int64_t& value) {
  if (!parsed.fault.empty()) return parsed.fault;
  const std::optional<int64_t> units = whole_units(parsed);
  if (!units) return in_quotes(text) + " is too large; " + limit;
  value = *units;
  return "";
}

std::string parse_real(std::string_view text, const Parsed& parsed, double& value) {
  if (!parsed.fault.empty()) return parsed.fault;
  if (parsed.number.digits.empty()) return value = 0, "";
  const std::string number = fmt::format("{}e{}", parsed.number.digits, parsed.number.exponent + parsed.unit.decimal);
  double nearest = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), nearest);
  const double scaled = std::ldexp(nearest, parsed.unit.binary);  // exact
  if (result.ec != std::errc() || !std::isnormal(scaled))
    return in_quotes(text) + " is too large or too small for a double";
  value = scaled;
  return "";
}

// d.ddd * 10^lead, in plain digits unless they would be many.
std::string decimal_text(const std::string& digits, int64_t lead) {
  const auto size = int64_t(digits.size());
  if (lead < -4 || lead > 18) return fmt::format("{}{}{}e{}", digits[0], size > 1 ? "." : "", digits.substr(1), lead);
  if (lead < 0) return "0." + std::string(size_t(-lead - 1), '0') + digits;
  if (size <= lead + 1) return digits + std::string(size_t(lead + 1 - size), '0');
  return digits.substr(0, size_t(lead) + 1) + "." + digits.substr(size_t(lead) + 1);
}

// The fewest digits that read back to the value, which is d.ddd * 10^lead.
std::pair<std::string, int64_t> shortest_digits(double value) {
  CHECK(std::isfinite(value));
  CHECK(value >= 0);
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view scientific(text, size_t(end - text));
  const size_t e = scientific.find('e');
  std::string digits(scientific.substr(0, e));
  std::erase(digits, '.');
  return {digits, std::stoi(std::string(scientific.substr(e + 1)))};
}

std::string real_text(double value, std::string_view unit) {
  if (value == 0) return fmt::format("0 {}", unit);
  const auto [digits, lead] = shortest_digits(value);
  const int64_t prefix = std::clamp<int64_t>(lead / 3, 0, 6);
  return fmt::format("{} {}{}", decimal_text(digits, lead - 3 * prefix), kDecimalPrefixes[prefix].name, unit);
}

}  // namespace

const QuantityKind& quantity_kind(Duration) { return kDuration; }
const QuantityKind& quantity_kind(Bytes) { return kBytes; }
const QuantityKind& quantity_kind(Rate) { return kRate; }
const QuantityKind& quantity_kind(FlopRate) { return kFlopRate; }
const QuantityKind& quantity_kind(Percentage) { return kPercentage; }

std::string parse_quantity(std::string_view text, Duration& value) {
  const Parsed parsed = parse_text(text, kDuration, kTimeUnits, false, false);
  return parse_whole(text, parsed, "the longest duration is 106 days", value.ps);
}

std::string parse_quantity(std::string_view text, Bytes& value) {
  const Parsed parsed = parse_text(text, kBytes, kByteUnits, true, true);
  return parse_whole(text, parsed, "the largest size is 8 EiB less one byte", value.count);
}

std::string parse_quantity(std::string_view text, Rate& value) {
  return parse_real(text, parse_text(text, kRate, kRateUnits, true, true), value.bytes_per_s);
}

std::string parse_quantity(std::string_view text, FlopRate& value) {
  return parse_real(text, parse_text(text, kFlopRate, kFlopUnits, true, false), value.flop_per_s);
}

std::string parse_quantity(std::string_view text, Percentage& value) {
  return parse_real(text, parse_text(text, kPercentage, kPercentUnits, false, false), value.fraction);
}

std::string quantity_text(Duration value) {
  CHECK(value.ps >= 0);
  if (value.ps == 0) return "0 s";
  std::string digits = std::to_string(value.ps);
  const auto lead = int64_t(digits.size()) - 1;
  const int64_t unit = std::min<int64_t>(lead / 3, 4);
  digits.erase(digits.find_last_not_of('0') + 1);
  return fmt::format("{} {}", decimal_text(digits, lead - 3 * unit), kTimeUnits[unit].name);
}

std::string quantity_text(Bytes value) {
  CHECK(value.count >= 0);
  if (value.count == 0) return "0 B";
  std::string decimal = fmt::format("{} B", value.count);
  std::string binary = decimal;
  int64_t divisor = 1000;
  for (size_t i = 1; i < std::size(kDecimalPrefixes) && value.count % divisor == 0; ++i, divisor *= 1000) {
    decimal = fmt::format("{} {}B", value.count / divisor, kDecimalPrefixes[i].name);
    if (i + 1 == std::size(kDecimalPrefixes)) break;  // 10^21 does not fit
  }
  for (const Unit& prefix : kBinaryPrefixes)
    if (value.count % (int64_t{1} << prefix.binary) == 0)
      binary = fmt::format("{} {}B", value.count >> prefix.binary, prefix.name);
  // Whichever leaves fewer digits is what a person would have written.
  return binary.size() <= decimal.size() + 1 ? binary : decimal;
}

std::string quantity_text(Rate value) { return real_text(value.bytes_per_s, "B/s"); }
std::string quantity_text(FlopRate value) { return real_text(value.flop_per_s, "flop/s"); }

std::string quantity_text(Percentage value) {
  if (value.fraction == 0) return "0%";
  const auto [digits, lead] = shortest_digits(value.fraction);
  return decimal_text(digits, lead + 2) + "%";
}

}  // namespace moesim
