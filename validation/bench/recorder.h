// What was measured, and how much time is left for more. Knows no CUDA.
#pragma once

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moesim::bench {

// Asks all recorders to stop, and says whether that has happened. Both may be called from a signal handler.
void request_stop() noexcept;
bool stop_requested() noexcept;

// Keeps all records and writes them as one JSON document. Until finish() it stands in FILE.partial, which is renewed
// now and then, so that little is lost where the program is killed. All members may be called from any thread.
class Recorder {
 public:
  // The clock of the budget starts here. An empty `out` writes nothing: on ranks other than the first. Throws
  // ArgumentError where the file cannot be written.
  Recorder(std::string out, double budget_s);

  // What stands before the records.
  void describe(nlohmann::ordered_json header);

  // A record of kind "check" or "skipped" goes to the list of these. Times (keys that end with _us) are rounded to
  // 3 decimals.
  void add(nlohmann::ordered_json record);
  void add_failure(const std::string& suite, const std::string& error);

  // The suite gets its share of what is left: its weight over those of itself and all after it.
  void begin_suite(const std::string& name, double weight, double weight_after);
  void end_suite();

  // Whether the suite's time, or all time, is used up.
  bool out_of_time() const;
  bool stopped() const { return stop_requested(); }
  double seconds() const;  // since the beginning
  bool failed() const;     // whether a check is over its bound, or a suite failed

  // Writes the file under its own name.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void write() const;
  void show(bool last);

  std::string out_;
  double budget_s_;
  Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  nlohmann::ordered_json header_ = nlohmann::ordered_json::object();
  std::vector<nlohmann::ordered_json> records_;
  std::vector<nlohmann::ordered_json> checks_;
  std::vector<nlohmann::ordered_json> skipped_;
  std::vector<nlohmann::ordered_json> failures_;
  bool check_failed_ = false;
  bool finished_ = false;
  std::string suite_;
  double suite_begin_s_ = 0;
  double suite_end_s_;
  size_t records_before_suite_ = 0;
  double shown_s_ = -1;
  double written_s_ = 0;
};

}  // namespace moesim::bench
