// Reads one record of a measurement file, and collects every fault with its place in the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/json.h"
#include "validation/measurements.h"

namespace moesim {

// Integers of the files: sizes beyond this are slips, and products of two fit 64 bits.
inline constexpr int64_t kSizeMax = int64_t{1} << 31;
inline constexpr int64_t kBytesMax = int64_t{1} << 50;

class RecordReader {
 public:
  RecordReader(const JsonNode& node, const Place& place, std::vector<Fault>& faults)
      : node_(node), place_(place), faults_(faults) {}

  // Required; a fault where it is missing, of another type or out of range, and then 1, `low` or "".
  int64_t integer(const char* key, int64_t low, int64_t high = kSizeMax);
  int32_t small_integer(const char* key, int32_t low, int32_t high);
  std::string text(const char* key);
  double time(const char* key);                                     // above 0
  std::vector<double> times(const char* key);                       // at least one, each above 0
  std::vector<int64_t> integers(const char* key);                   // each at least 0
  std::vector<std::vector<int64_t>> integer_rows(const char* key);  // each at least 0
  std::vector<std::vector<std::vector<int64_t>>> integer_tables(const char* key);

  // Absent is no fault.
  int64_t integer_or(const char* key, int64_t fallback, int64_t low, int64_t high = kSizeMax);
  double number_or(const char* key, double fallback);  // at least 0
  bool flag_or(const char* key, bool fallback);
  std::string text_or(const char* key, const char* fallback);
  std::optional<double> time_if_any(const char* key);  // null counts as absent
  std::vector<double> times_if_any(const char* key);   // null counts as absent

  bool has(const char* key) const;                   // and it is not null
  const JsonNode* object(const char* key);           // required
  void fault(const char* key, std::string message);  // "" for the record itself

  const JsonNode& node() const { return node_; }
  const Place& place() const { return place_; }
  std::vector<Fault>& faults() { return faults_; }

 private:
  const JsonNode* required(const char* key, JsonKind kind);

  const JsonNode& node_;
  const Place& place_;
  std::vector<Fault>& faults_;
};

// The median and least of samples, as the time of a phase.
PhaseTime phase_time(std::string phase, std::vector<double> samples_us);

// Rules that records of both formats obey: what each source rank sends is its tokens times top-k, over all experts.
void check_counts(RecordReader& record, const char* key, const std::vector<std::vector<int64_t>>& counts,
                  int64_t tokens_per_rank, int32_t top_k, int32_t experts, int32_t ranks);

// One record of each format; both add one measurement or several.
void read_pytorch_record(RecordReader& record, int32_t world, size_t number, std::vector<Measurement>& out);
void read_bench_record(RecordReader& record, size_t number, std::vector<Measurement>& out);

}  // namespace moesim
