#include "validation/bench/recorder.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "validation/bench/options.h"

namespace moesim::bench {
namespace {

using nlohmann::ordered_json;

volatile std::sig_atomic_t stop = 0;

constexpr double write_every_s = 10;
constexpr double show_every_s = 0.2;
constexpr int bar_width = 30;

void round_numbers(ordered_json& value) {
  if (value.is_number_float()) value = std::round(value.get<double>() * 1e3) / 1e3;
  if (value.is_structured())
    for (ordered_json& each : value) round_numbers(each);
}

void round_times(ordered_json& record) {
  for (auto& [key, value] : record.items())
    if (key.ends_with("_us")) round_numbers(value);
}

// One element a line, so that the file can be read and compared by lines.
void append_list(std::string& text, const char* name, const std::vector<ordered_json>& list, const char* end) {
  text += fmt::format("\"{}\": [", name);
  for (size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "\n" : ",\n") + list[i].dump();
  text += list.empty() ? "]" : "\n]";
  text += end;
}

std::string partial(const std::string& out) { return out + ".partial"; }

}  // namespace

void request_stop() noexcept { stop = 1; }
bool stop_requested() noexcept { return stop != 0; }

Recorder::Recorder(std::string out, double budget_s)
    : out_(std::move(out)), budget_s_(budget_s), suite_end_s_(budget_s) {
  if (out_.empty()) return;
  if (!std::ofstream(partial(out_))) throw ArgumentError("cannot write " + partial(out_) + ": " + std::strerror(errno));
}

void Recorder::describe(ordered_json header) {
  const std::lock_guard lock(mutex_);
  header_ = std::move(header);
}

void Recorder::add(ordered_json record) {
  const std::lock_guard lock(mutex_);
  round_times(record);
  const std::string kind = record.value("kind", "");
  if (kind == "check") {
    record.erase("kind");
    if (!(record.value("error", 0.0) <= record.value("bound", 0.0))) check_failed_ = true;
    checks_.push_back(std::move(record));
  } else if (kind == "skipped") {
    record.erase("kind");
    skipped_.push_back(std::move(record));
  } else {
    records_.push_back(std::move(record));
  }
  show(false);
  if (seconds() - written_s_ > write_every_s) {
    write();
    written_s_ = seconds();
  }
}

void Recorder::add_failure(const std::string& suite, const std::string& error) {
  const std::lock_guard lock(mutex_);
  failures_.push_back({{"suite", suite}, {"error", error}});
}

void Recorder::begin_suite(const std::string& name, double weight, double weight_after) {
  const std::lock_guard lock(mutex_);
  suite_ = name;
  suite_begin_s_ = seconds();
  suite_end_s_ = suite_begin_s_ + (budget_s_ - suite_begin_s_) * weight / (weight + weight_after);
  records_before_suite_ = records_.size();
  show(false);
}

void Recorder::end_suite() {
  const std::lock_guard lock(mutex_);
  show(true);
  suite_.clear();
  suite_end_s_ = budget_s_;
}

bool Recorder::out_of_time() const {
  const std::lock_guard lock(mutex_);
  return seconds() >= std::min(suite_end_s_, budget_s_);
}

double Recorder::seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

bool Recorder::failed() const {
  const std::lock_guard lock(mutex_);
  return check_failed_ || !failures_.empty();
}

// A line that is drawn over on a terminal; elsewhere a line a suite.
void Recorder::show(bool last) {
  if (out_.empty() || suite_.empty()) return;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const double now = seconds();
  const size_t records = records_.size() - records_before_suite_;
  if (last) {
    fmt::print(stderr, "{}{:<12} {:5} records  {:6.1f} s\n", terminal ? "\r\x1b[K" : "", suite_, records,
               now - suite_begin_s_);
    return;
  }
  if (!terminal || now - shown_s_ < show_every_s) return;
  shown_s_ = now;
  const double fraction = std::clamp(now / budget_s_, 0.0, 1.0);
  fmt::print(stderr, "\r[{:<{}}] {:5.1f}%  {}: {} records  at most {:.0f} s left \x1b[K",
             std::string(size_t(fraction * bar_width), '#'), bar_width, 100 * fraction, suite_, records,
             std::max(0.0, budget_s_ - now));
  std::fflush(stderr);
}

void Recorder::write() const {
  if (out_.empty()) return;
  std::string text = "{\n";
  for (const auto& [key, value] : header_.items()) text += fmt::format("\"{}\": {},\n", key, value.dump());
  text += fmt::format("\"seconds\": {:.1f},\n\"finished\": {},\n", seconds(), finished_ && !stop_requested());
  append_list(text, "checks", checks_, ",\n");
  append_list(text, "skipped", skipped_, ",\n");
  append_list(text, "failures", failures_, ",\n");
  append_list(text, "records", records_, "\n}\n");
  std::ofstream file(partial(out_), std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + partial(out_) + ": " + std::strerror(errno));
}

void Recorder::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  if (out_.empty()) return;
  write();
  if (std::rename(partial(out_).c_str(), out_.c_str()) != 0)
    throw std::runtime_error("cannot rename " + partial(out_) + " to " + out_ + ": " + std::strerror(errno));
}

}  // namespace moesim::bench
