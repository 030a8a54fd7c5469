#include "validation/record_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "sim/config/reader.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

bool is_of_kind(const JsonNode& node, const Place& place, JsonKind kind, std::vector<Fault>& faults) {
  if (node.kind == kind) return true;
  add_type_fault(node, place, kind, faults);
  return false;
}

// `low` where the node is at fault.
int64_t integer_of(const JsonNode& node, const Place& place, int64_t low, int64_t high, std::vector<Fault>& faults) {
  if (!is_of_kind(node, place, JsonKind::number, faults)) return low;
  int64_t value = 0;
  const char* const end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (error != std::errc{} || stop != end) {
    add_fault(faults, node, place, fmt::format("{} is not a whole number that fits", in_quotes(node.text)));
    return low;
  }
  if (value >= low && value <= high) return value;
  add_fault(faults, node, place, fmt::format("must be between {} and {}, but is {}", low, high, value));
  return low;
}

double number_of(const JsonNode& node) {
  double value = 0;
  std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
  return value;
}

// A time of nothing or less was not measured; 1 then stands for it.
double time_of(const JsonNode& node, const Place& place, std::vector<Fault>& faults) {
  if (!is_of_kind(node, place, JsonKind::number, faults)) return 1;
  const double value = number_of(node);
  if (value > 0 && std::isfinite(value)) return value;
  add_fault(faults, node, place, fmt::format("a time must be above 0 us, but is {}", node.text));
  return 1;
}

template <class T, class Read>
std::vector<T> list_of(const JsonNode& node, const Place& place, std::vector<Fault>& faults, Read read) {
  std::vector<T> values;
  if (!is_of_kind(node, place, JsonKind::array, faults)) return values;
  for (size_t i = 0; i < node.children.size(); ++i)
    values.push_back(read(node.children[i], Place{&place, {}, int64_t(i)}));
  return values;
}

std::vector<int64_t> integers_of(const JsonNode& node, const Place& place, std::vector<Fault>& faults) {
  return list_of<int64_t>(node, place, faults, [&](const JsonNode& child, const Place& at) {
    return integer_of(child, at, 0, kBytesMax, faults);
  });
}

std::vector<std::vector<int64_t>> rows_of(const JsonNode& node, const Place& place, std::vector<Fault>& faults) {
  return list_of<std::vector<int64_t>>(
      node, place, faults, [&](const JsonNode& child, const Place& at) { return integers_of(child, at, faults); });
}

}  // namespace

const JsonNode* RecordReader::required(const char* key, JsonKind kind) {
  const JsonNode* const node = node_.find(key);
  if (node == nullptr)
    fault("", fmt::format("the required key {} is missing", in_quotes(key)));
  else if (is_of_kind(*node, Place{&place_, key}, kind, faults_))
    return node;
  return nullptr;
}

bool RecordReader::has(const char* key) const {
  const JsonNode* const node = node_.find(key);
  return node != nullptr && node->kind != JsonKind::null;
}

const JsonNode* RecordReader::object(const char* key) { return required(key, JsonKind::object); }

void RecordReader::fault(const char* key, std::string message) {
  const JsonNode* const node = node_.find(key);
  const Place place{&place_, key};
  add_fault(faults_, node == nullptr ? node_ : *node, *key == '\0' ? place_ : place, std::move(message));
}

int64_t RecordReader::integer(const char* key, int64_t low, int64_t high) {
  const JsonNode* const node = required(key, JsonKind::number);
  return node == nullptr ? low : integer_of(*node, Place{&place_, key}, low, high, faults_);
}

int32_t RecordReader::small_integer(const char* key, int32_t low, int32_t high) {
  return int32_t(integer(key, low, high));
}

int64_t RecordReader::integer_or(const char* key, int64_t fallback, int64_t low, int64_t high) {
  return has(key) ? integer(key, low, high) : fallback;
}

std::string RecordReader::text(const char* key) {
  const JsonNode* const node = required(key, JsonKind::string);
  return node == nullptr ? "" : node->text;
}

std::string RecordReader::text_or(const char* key, const char* fallback) { return has(key) ? text(key) : fallback; }

bool RecordReader::flag_or(const char* key, bool fallback) {
  if (!has(key)) return fallback;
  const JsonNode* const node = required(key, JsonKind::boolean);
  return node != nullptr && node->text == "true";
}

double RecordReader::number_or(const char* key, double fallback) {
  if (!has(key)) return fallback;
  const JsonNode* const node = required(key, JsonKind::number);
  if (node == nullptr) return fallback;
  const double value = number_of(*node);
  if (!(value >= 0)) fault(key, fmt::format("must be at least 0, but is {}", node->text));
  return value;
}

double RecordReader::time(const char* key) {
  const JsonNode* const node = required(key, JsonKind::number);
  return node == nullptr ? 1 : time_of(*node, Place{&place_, key}, faults_);
}

std::optional<double> RecordReader::time_if_any(const char* key) {
  if (!has(key)) return std::nullopt;
  return time(key);
}

std::vector<double> RecordReader::times(const char* key) {
  const JsonNode* const node = required(key, JsonKind::array);
  if (node == nullptr) return {1};
  const Place place{&place_, key};
  if (node->children.empty()) add_fault(faults_, *node, place, "no samples");
  auto values = list_of<double>(*node, place, faults_,
                                [&](const JsonNode& child, const Place& at) { return time_of(child, at, faults_); });
  if (values.empty()) values.push_back(1);
  return values;
}

std::vector<double> RecordReader::times_if_any(const char* key) {
  if (!has(key)) return {};
  return times(key);
}

std::vector<int64_t> RecordReader::integers(const char* key) {
  const JsonNode* const node = required(key, JsonKind::array);
  return node == nullptr ? std::vector<int64_t>{} : integers_of(*node, Place{&place_, key}, faults_);
}

std::vector<std::vector<int64_t>> RecordReader::integer_rows(const char* key) {
  const JsonNode* const node = required(key, JsonKind::array);
  return node == nullptr ? std::vector<std::vector<int64_t>>{} : rows_of(*node, Place{&place_, key}, faults_);
}

std::vector<std::vector<std::vector<int64_t>>> RecordReader::integer_tables(const char* key) {
  const JsonNode* const node = required(key, JsonKind::array);
  if (node == nullptr) return {};
  return list_of<std::vector<std::vector<int64_t>>>(
      *node, Place{&place_, key}, faults_,
      [&](const JsonNode& child, const Place& at) { return rows_of(child, at, faults_); });
}

double median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

PhaseTime phase_time(std::string phase, std::vector<double> samples_us) {
  const double least = *std::min_element(samples_us.begin(), samples_us.end());
  const double middle = median(samples_us);
  return {std::move(phase), middle, std::move(samples_us), least};
}

void check_counts(RecordReader& record, const char* key, const std::vector<std::vector<int64_t>>& counts,
                  int64_t tokens_per_rank, int32_t top_k, int32_t experts, int32_t ranks) {
  if (counts.size() != size_t(ranks))
    record.fault(key, fmt::format("has {} source ranks, but {} ran", counts.size(), ranks));
  for (size_t rank = 0; rank < counts.size(); ++rank) {
    if (counts[rank].size() != size_t(experts))
      record.fault(
          key, fmt::format("source rank {} has {} experts, but the layer has {}", rank, counts[rank].size(), experts));
    int64_t sum = 0;
    for (const int64_t count : counts[rank]) {
      if (count > tokens_per_rank)
        record.fault(key, fmt::format("source rank {} sends {} copies to one expert, but has {} tokens", rank, count,
                                      tokens_per_rank));
      sum += std::min(count, tokens_per_rank);
    }
    if (sum != tokens_per_rank * top_k)
      record.fault(key, fmt::format("source rank {} sends {} copies, but {} tokens to {} experts each are {}", rank,
                                    sum, tokens_per_rank, top_k, tokens_per_rank * top_k));
  }
}

}  // namespace moesim
