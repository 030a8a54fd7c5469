// Where each expert of a layer runs, and in which order, where not all of them lie in the GPU's memory.
//
// Three queues work side by side: the GPU, the copy engine that brings it experts, and the CPU (or another processor
// beside the GPU, such as one in its memory). A plan lists the experts once; each queue takes those that are its own in
// that order, but the GPU passes over an expert whose weights are still on their way while another is there.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/config/registry.h"
#include "sim/core/units.h"

namespace moesim {

// An expert that tokens of the GPU chose.
struct ExpertWork {
  int32_t expert = 0;
  int64_t tokens = 0;
  double weight = 0;      // of the gate, summed over tokens
  bool resident = false;  // in the GPU's memory
  bool arriving = false;  // a copy is under way already, or waits for its turn
  Duration arrives{};     // in how long, as far as is known; zero where it is resident
  Duration gpu{};         // time of its kernels
  Duration cpu{};         // time on the CPU, or beside the GPU
  Duration copy{};        // time of its weights on the bus alone
};

struct ExpertScheduleInput {
  std::span<const ExpertWork> experts;  // rising
  int32_t layer = 0;                    // MoE layer
  int32_t layers = 0;
  int64_t tokens = 0;  // of the GPU's step
  int32_t top_k = 0;
  bool has_prefill = false;  // some request has more than one new token
  bool has_cpu = true;       // there is a CPU, or another processor, that can run experts
  bool in_memory = false;    // it runs resident experts in place, such as a processor in the GPU's memory; a CPU runs
                             // those that lie in the host's memory, which all do
  Duration gpu_busy{};       // shared experts, which the GPU runs first
  Duration cpu_busy{};       // what it has to finish before
  Duration cpu_first{};      // what its first expert of a layer takes longer
  Duration copies_busy{};    // what is on the bus and cannot be put back
};

enum class ExpertPlace : uint8_t {
  gpu,  // after a copy, if it is not there
  cpu,
  deferred,  // on the CPU; its result is added one layer later
};

struct PlannedExpert {
  int32_t index = 0;  // in the input's experts
  ExpertPlace place = ExpertPlace::gpu;
};

// Whether it may run anywhere but on the GPU.
constexpr bool can_run_beside(const ExpertScheduleInput& in, const ExpertWork& work) {
  return in.has_cpu && (!in.in_memory || work.resident);
}

// Each expert of the input once.
struct ExpertPlan {
  std::vector<PlannedExpert> order;
};

struct ExpertSchedulePolicy {
  using Input = ExpertScheduleInput;
  using Decision = ExpertPlan;
  struct Traits {
    bool copies = true;  // may bring experts to the GPU: needs a place for one at least
    bool uses_cpu = true;
  };
  static constexpr const char* kind = "expert schedule";
};

// When a plan is done if all times are as the input has them: the layer's own part, without what it deferred.
struct PlanTimes {
  Duration gpu{};   // the GPU's last expert
  Duration cpu{};   // the CPU's last that is not deferred; what it had to finish before counts, as this layer adds it
  Duration copy{};  // the bus is free: the arrival of the last copy that the plan asks for
  Duration makespan() const;
};
PlanTimes plan_times(const ExpertScheduleInput& in, const ExpertPlan& plan);

// CHECKs that it lists each expert once, none where it cannot run, and that the last layer defers none.
void check_plan(const ExpertScheduleInput& in, const ExpertPlan& plan);

}  // namespace moesim
