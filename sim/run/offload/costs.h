// What an expert costs where it may run, and on its way there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/cpu_cost.h"
#include "sim/moe/offload/bits.h"
#include "sim/moe/operation_cost.h"
#include "sim/run/scenario.h"

namespace moesim {

// Times of experts, remembered by their number of tokens.
class ExpertCosts {
 public:
  ExpertCosts(const LoadedScenario& loaded, const StepModel& model, const std::vector<int64_t>& past_load);

  // One expert alone, and several in one grouped kernel; of a GPU of speed 1.
  Duration on_gpu(int64_t tokens);
  Duration together_on_gpu(std::span<const int64_t> rows) const;
  // Shared experts and the regrouping of what dispatch brought: what a GPU does in this part of a layer besides.
  Duration beside(int32_t layer, int64_t held_tokens, int64_t received_copies, int64_t rows) const;

  // What the host does where launches are eager: in a loop over experts it launches the copies and kernels of each.
  struct Launches {
    Duration copy;
    Duration expert;      // all kernels of one
    int32_t kernels = 0;  // of one
  };
  const std::optional<Launches>& launches() const { return launches_; }

  Duration on_cpu(ExpertItem item, int64_t tokens);
  Duration cpu_first() const { return cpu_first_; }
  Rate cpu_reads() const { return cpu_reads_; }  // of weights, at most
  double cpu_beside_copies() const { return cpu_.beside_copies; }

  Bytes stored(ExpertItem item) const { return widths_[size_t(width_[size_t(item)])].stored; }
  Duration decode(ExpertItem item) const {
    return widths_[size_t(width_[size_t(item)])].decode;
  }  // on a GPU, once there

 private:
  // Of experts whose weights have as many bits.
  struct Width {
    double bits = kBitsMax;
    Bytes stored;
    Duration decode;
    std::vector<Duration> cpu_times;  // [tokens], zero where not asked for yet
  };

  Duration by_vectors(std::span<const int64_t> rows) const;
  void add_launches();
  KernelCost in_loop(int64_t tokens) const;
  void add_widths(const std::vector<int64_t>& past_load);

  const LoadedScenario& loaded_;
  const StepModel& model_;
  std::vector<Width> widths_;
  std::vector<int32_t> width_;  // [item]
  std::optional<Launches> launches_;
  CpuParameters cpu_;
  int32_t threads_ = 1;
  Duration cpu_first_;
  Rate cpu_reads_{1};
  std::vector<Duration> gpu_times_;  // [tokens], zero where not asked for yet
};

}  // namespace moesim
