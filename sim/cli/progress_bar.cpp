#include "sim/cli/progress_bar.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

namespace moesim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPeriod = std::chrono::milliseconds(200);
constexpr int kWidth = 30;

void draw(const std::vector<Progress>& progress, double elapsed_s) {
  int64_t done = 0;
  int64_t total = 0;
  size_t begun = 0;
  for (const Progress& each : progress) {
    done += each.tasks_done;
    total += each.tasks_total;
    if (each.tasks_total > 0) ++begun;
  }
  if (total == 0) return;
  const double expected = double(total) * double(progress.size()) / double(begun);  // those not begun are alike
  const double fraction = std::min(1.0, double(done) / expected);
  const int full = int(fraction * kWidth);
  const double left_s = fraction > 0 ? elapsed_s / fraction - elapsed_s : 0;
  fmt::print(stderr, "\r[{:<{}}] {:5.1f}%  {:.0f} tasks/s  {:.0f} s left \x1b[K", std::string(size_t(full), '#'),
             kWidth, 100 * fraction, double(done) / elapsed_s, left_s);
  std::fflush(stderr);
}

}  // namespace

ProgressBar::ProgressBar(const std::vector<Progress>& progress) {
  if (isatty(STDERR_FILENO) == 0) return;
  thread_ = std::jthread([&progress](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    const auto begin = Clock::now();
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, kPeriod, [] { return false; }) && !stop.stop_requested())
      draw(progress, std::chrono::duration<double>(Clock::now() - begin).count());
    fmt::print(stderr, "\r\x1b[K");
  });
}

ProgressBar::~ProgressBar() = default;

}  // namespace moesim
