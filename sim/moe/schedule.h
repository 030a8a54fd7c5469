// In which order a step does its operations, on which streams, and what may overlap.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/config/registry.h"

namespace moesim {

// What a GPU does in a step. The same names label its time in the results.
enum class Operation : uint8_t {
  attention,      // norm, QKV, attention, output projection
  tp,             // tensor-parallel reduce-scatter or all-gather
  gate,           // norm, router, softmax, top-k, and packing by destination where the stack has a kernel for it
  dispatch,       // all-to-all of tokens to the GPUs of their experts
  experts,        // regrouping by expert and the grouped GEMMs
  combine,        // all-to-all of results back
  unpermute,      // weighted sum of the results of a token's experts
  shared,         // shared experts
  dense,          // dense feed-forward layer
  lm_head,        // final norm and vocabulary projection
  migration,      // weights of experts on their way to other GPUs, between steps or behind them; no schedule has it
  predict,        // look-ups that say where tokens are to go before they are routed
  coherence,      // all-gather of the new tokens where every GPU has the context of all requests
  copy,           // between the host's memory and a GPU's: weights, keys and values, activations
  cpu_attention,  // attention on the host's CPU, over keys and values in its memory
};

constexpr auto enum_names(Operation) {
  return std::to_array<std::pair<Operation, const char*>>({{Operation::attention, "attention"},
                                                           {Operation::tp, "tp"},
                                                           {Operation::gate, "gate"},
                                                           {Operation::dispatch, "dispatch"},
                                                           {Operation::experts, "experts"},
                                                           {Operation::combine, "combine"},
                                                           {Operation::unpermute, "unpermute"},
                                                           {Operation::shared, "shared"},
                                                           {Operation::dense, "dense"},
                                                           {Operation::lm_head, "lm_head"},
                                                           {Operation::migration, "migration"},
                                                           {Operation::predict, "predict"},
                                                           {Operation::coherence, "coherence"},
                                                           {Operation::copy, "copy"},
                                                           {Operation::cpu_attention, "cpu_attention"}});
}
constexpr size_t kOperations = enum_names(Operation{}).size();

constexpr bool is_communication(Operation operation) {
  return operation == Operation::tp || operation == Operation::dispatch || operation == Operation::combine ||
         operation == Operation::migration || operation == Operation::coherence || operation == Operation::copy;
}

// Whether the host's CPU does it. The GPU may wait for it meanwhile.
constexpr bool is_on_cpu(Operation operation) { return operation == Operation::cpu_attention; }

// The streams of each GPU. Compute kernels share one; collectives may have their own.
// The host's queue of launches is a stream too; it has work where launches are eager. So are what moves weights to the
// GPU, other copies from the host's memory and back, and the CPU's work for the GPU.
enum class Lane : uint8_t { compute, dispatch, combine, host, migration, copy_in, copy_out, cpu };
constexpr size_t kLanes = 8;

// One operation of every GPU on tokens [part / parts, (part + 1) / parts) of its own, after the operations named.
struct ScheduledOperation {
  Operation operation{};
  int32_t layer = 0;  // of the model
  int32_t part = 0;
  int32_t parts = 1;
  Lane lane = Lane::compute;
  std::vector<int32_t> after;  // indices of earlier operations; a GPU waits for its own part of each
};

struct ScheduleInput {
  std::vector<bool> layer_is_moe;  // [layer]; the others have a dense feed-forward
  bool has_shared_experts = false;
  bool has_tp = false;  // attention is followed by a reduce-scatter, and preceded by an all-gather
  bool has_lm_head = true;
  bool is_coherent = false;     // a step ends with an all-gather of the new tokens
  bool has_prediction = false;  // in MoE layers, between attention and the reduce-scatter
};

using Schedule = std::vector<ScheduledOperation>;

struct SchedulePolicy {
  using Input = ScheduleInput;
  using Decision = Schedule;
  static constexpr const char* kind = "schedule";
};

// CHECKs that operations only wait for earlier ones, and that each MoE layer dispatches, computes and combines every
// part of its tokens exactly once.
void check_schedule(const Schedule& schedule, const ScheduleInput& input);

// Adds what all schedules share: appends an operation after the last one and returns its index.
int32_t append(Schedule& schedule, const ScheduledOperation& operation);

// The operations up to the feed-forward of a layer, on the compute lane: all-gather, attention, prediction,
// reduce-scatter.
// Returns the index of the last one.
int32_t append_attention(Schedule& schedule, const ScheduleInput& in, int32_t layer, int32_t before);

// The dense feed-forward of a layer, and the end of a step.
int32_t append_dense(Schedule& schedule, int32_t layer, int32_t before);
void append_end(Schedule& schedule, const ScheduleInput& in, int32_t before);

}  // namespace moesim
