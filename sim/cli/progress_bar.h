// A progress bar on stderr where that is a terminal, with rate and time left; nothing in a pipe.
#pragma once

#include <thread>
#include <vector>

#include "sim/run/runner.h"

namespace moesim {

// Shows the sum of all progresses until destroyed.
class ProgressBar {
 public:
  explicit ProgressBar(const std::vector<Progress>& progress);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  std::jthread thread_;
};

}  // namespace moesim
