#include <fmt/core.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <unordered_set>

#include "sim/config/error.h"
#include "sim/config/json.h"
#include "traces/arrivals.h"

namespace moesim {
namespace {

constexpr size_t kTextMax = size_t{1} << 30;
constexpr int64_t kBlockTokens = 512;  // of a Mooncake hash id
constexpr int64_t kPicosecondsMax = 9'000'000'000'000'000'000;
constexpr int64_t kTicksASecond = 10'000'000;  // Azure's stamps have seven digits behind the point
constexpr const char* kAzureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

// Plain files pass through zlib as they are.
std::string inflated_file(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw ConfigError(path, "cannot be read");
  std::string text;
  std::vector<char> piece(size_t{1} << 20);
  for (;;) {
    const int read = gzread(file.get(), piece.data(), unsigned(piece.size()));
    if (read < 0) throw ConfigError(path, "cannot be read, or is no whole gzip file");
    if (read == 0) break;
    if (text.size() + size_t(read) > kTextMax) throw ConfigError(path, "holds more than 1 GiB of text");
    text.append(piece.data(), size_t(read));
  }
  int error = Z_OK;
  gzerror(file.get(), &error);
  if (error != Z_OK) throw ConfigError(path, "is no whole gzip file");
  return text;
}

// Takes what is in front of a separator; the rest stays.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

bool parse_whole(std::string_view text, int64_t low, int64_t high, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
}

// Days since 1970-01-01 in the Gregorian calendar: whole 400-year cycles, years from March on, months, days.
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  const int64_t march_year = month > 2 ? year : year - 1;
  const int64_t month_from_march = month > 2 ? month - 3 : month + 9;
  return 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400 + (153 * month_from_march + 2) / 5 +
         day - 1 - 719'468;
}

// "2023-11-16 18:17:03.9799600" in ticks of 100 ns.
bool parse_stamp(std::string_view text, int64_t& ticks) {
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0;
  std::string_view date = take_until(text, ' ');
  const bool has_date = parse_whole(take_until(date, '-'), 1970, 2200, year) &&
                        parse_whole(take_until(date, '-'), 1, 12, month) && parse_whole(date, 1, 31, day);
  const bool has_time = parse_whole(take_until(text, ':'), 0, 23, hour) &&
                        parse_whole(take_until(text, ':'), 0, 59, minute) &&
                        parse_whole(take_until(text, '.'), 0, 60, second);
  if (!has_date || !has_time || text.size() > 7) return false;
  if (!text.empty() && !parse_whole(text, 0, kTicksASecond - 1, fraction)) return false;
  for (size_t digits = text.size(); digits < 7; ++digits) fraction *= 10;
  ticks = (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * kTicksASecond + fraction;
  return true;
}

struct StampedRequest {
  int64_t ticks = 0;  // of 100 ns
  TimedRequest request;
};

std::string parse_azure_line(std::string_view line, StampedRequest& stamped) {
  if (!parse_stamp(take_until(line, ','), stamped.ticks))
    return "begins with no time such as 2023-11-16 18:17:03.9799600";
  if (!parse_whole(take_until(line, ','), 0, kArrivalTokensMax, stamped.request.prompt_tokens) ||
      !parse_whole(line, 0, kArrivalTokensMax, stamped.request.output_tokens))
    return fmt::format("must have two numbers of tokens from 0 to {}", kArrivalTokensMax);
  return "";
}

std::string parse_mooncake_line(std::string_view line, std::unordered_set<int64_t>& seen, StampedRequest& stamped) {
  JsonNode node;
  try {
    node = parse_json(line, "");
  } catch (const ConfigError&) {
    return "is not JSON";
  }
  const auto number = [&](const char* key, int64_t high, int64_t& value) {
    const JsonNode* found = node.find(key);
    return found != nullptr && found->kind == JsonKind::number && parse_whole(found->text, 0, high, value);
  };
  int64_t milliseconds = 0;
  TimedRequest& request = stamped.request;
  if (!number("timestamp", kPicosecondsMax / 1'000'000'000, milliseconds)) return "needs a whole \"timestamp\" in ms";
  if (!number("input_length", kArrivalTokensMax, request.prompt_tokens) ||
      !number("output_length", kArrivalTokensMax, request.output_tokens))
    return fmt::format("needs \"input_length\" and \"output_length\" from 0 to {}", kArrivalTokensMax);
  stamped.ticks = milliseconds * (kTicksASecond / 1000);
  const JsonNode* ids = node.find("hash_ids");
  if (ids == nullptr) return "";
  bool prefix = true;  // only blocks from the beginning on can be taken from a prefix cache
  for (const JsonNode& id : ids->children) {
    int64_t hash = 0;
    if (!parse_whole(id.text, 0, INT64_MAX, hash)) return "has \"hash_ids\" that are no whole numbers";
    prefix = !seen.insert(hash).second && prefix;
    if (prefix) request.cached_prompt += kBlockTokens;
  }
  request.cached_prompt = std::min(request.cached_prompt, request.prompt_tokens);
  return "";
}

// In order of arrival, the first at 0.
std::vector<TimedRequest> from_first(std::vector<StampedRequest> stamped, const std::string& source) {
  if (stamped.empty()) throw ConfigError(source, "holds no request");
  std::stable_sort(stamped.begin(), stamped.end(), [](const auto& a, const auto& b) { return a.ticks < b.ticks; });
  const int64_t first = stamped.front().ticks;
  constexpr int64_t kTick = 1'000'000'000'000 / kTicksASecond;
  if ((stamped.back().ticks - first) > kPicosecondsMax / kTick) throw ConfigError(source, "spans more than 100 days");
  std::vector<TimedRequest> requests;
  for (StampedRequest& one : stamped) {
    one.request.arrival = Time{(one.ticks - first) * kTick};
    requests.push_back(one.request);
  }
  return requests;
}

}  // namespace

std::vector<TimedRequest> parse_arrivals(const std::string& text, const std::string& source) {
  std::string_view rest = text;
  const bool azure = rest.starts_with(kAzureHeader);
  if (!azure && !rest.starts_with("{"))
    throw ConfigError(
        source, fmt::format("begins neither with {}, as Azure's files do, nor with {{, as Mooncake's", kAzureHeader));
  if (azure) take_until(rest, '\n');
  std::vector<StampedRequest> stamped;
  std::vector<Fault> faults;
  std::unordered_set<int64_t> seen;  // only asked whether it holds a block
  for (int line_number = azure ? 2 : 1; !rest.empty() && faults.size() < kArrivalFaultsMax; ++line_number) {
    std::string_view line = take_until(rest, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    StampedRequest one;
    std::string fault = azure ? parse_azure_line(line, one) : parse_mooncake_line(line, seen, one);
    if (fault.empty())
      stamped.push_back(one);
    else
      faults.push_back({line_number, "", std::move(fault)});
  }
  throw_if_any(source, std::move(faults));
  return from_first(std::move(stamped), source);
}

std::vector<TimedRequest> read_arrivals(const std::string& path) { return parse_arrivals(inflated_file(path), path); }

}  // namespace moesim
