// Watches a GPU's clock and power while something runs on it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace moesim::bench {

// Runs nvidia-smi beside the measurement and reads what it prints. Knows no CUDA.
class GpuWatch {
 public:
  struct Reading {
    double seconds = 0;  // since the watch began, when the line came
    double sm_mhz = 0;
    double watts = 0;
    double celsius = 0;
  };

  // Without nvidia-smi there are no readings.
  explicit GpuWatch(const std::string& pci_address, int period_ms = 100);
  ~GpuWatch();
  GpuWatch(const GpuWatch&) = delete;
  GpuWatch& operator=(const GpuWatch&) = delete;

  // Takes in what has been printed so far; call it often.
  void poll();
  const std::vector<Reading>& readings() const { return readings_; }
  // The last reading; zeros where there is none.
  Reading last() const { return readings_.empty() ? Reading{} : readings_.back(); }
  double seconds() const;

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  pid_t child_ = -1;
  int pipe_ = -1;
  std::string line_;
  std::vector<Reading> readings_;
};

}  // namespace moesim::bench
