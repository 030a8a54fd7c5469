// What the operations of a layer cost a GPU: which kernels they are, and how large.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cost_model.h"
#include "models/device_profile.h"
#include "models/llm.h"
#include "models/llm_kernels.h"
#include "sim/moe/batch.h"
#include "sim/moe/layout.h"
#include "sim/moe/schedule.h"

namespace moesim {

// What every operation of a step shares. Attention and the LM head are spread over tensor-parallel groups; gates, dense
// layers and shared experts run on the tokens that each GPU holds, with weights of its own.
struct StepModel {
  LlmSpec llm;
  Layout layout;
  CostModel gpu;
  LlmPrecision precision;
  Launch launch = Launch::graph;
  HostParameters host;             // where launches are eager
  std::vector<double> gpu_speeds;  // [gpu] over the cost model's; empty: 1 each
};

// What one GPU has to do in one operation.
struct OperationWork {
  int32_t layer = 0;
  std::vector<Request> requests;     // of its attention rank
  int64_t held_tokens = 0;           // tokens that it holds in the MoE layers, of the part at hand
  int64_t received_copies = 0;       // token copies that dispatch brought it
  int64_t sent_copies = 0;           // token copies that it sent, those to itself included
  int64_t lookups = 0;               // table entries that predictions read
  std::vector<int64_t> expert_rows;  // tokens of each expert that it hosts
};

// Time of an operation's kernels, one after another, and the SMs that the widest of them fills; none for no work.
struct OperationCost {
  Duration time;
  int32_t sms = 0;
  int32_t launches = 0;  // kernels
};

// CHECKs that the operation computes.
OperationCost operation_cost(const StepModel& model, Operation operation, const OperationWork& work);

}  // namespace moesim
