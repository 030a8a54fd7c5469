// The task graph of a step whose weights stream through one GPU: what an order issues, with its times and its bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/cpu_cost.h"
#include "sim/moe/batch.h"
#include "sim/moe/offload/pipeline.h"
#include "sim/moe/operation_cost.h"
#include "sim/moe/placement.h"
#include "sim/moe/routing.h"
#include "sim/moe/step_graph.h"

namespace moesim {

// What the steps of a run share. All requests have as many new tokens.
struct PipelineSetup {
  const StepModel& model;  // of one GPU
  const PipelineSettings& settings;
  std::span<const Request> requests;
  CpuAttentionRates cpu;  // what attention has of them while weights travel
  EndpointId host{};
  EndpointId gpu{};
  Duration copy_in_gap;  // of each copy, beside its bytes
  Duration copy_out_gap;
};

int32_t micro_batches(const PipelineSettings& settings, size_t requests);

// Requests of micro-batch m; the micro-batches share them as evenly as whole ones can.
std::span<const Request> requests_of(const PipelineSetup& setup, int32_t micro_batch);

// Weights of a layer, and those of them that travel in each step. Embeddings and the LM head stay on the GPU.
Bytes layer_weights(const LlmSpec& llm, const LlmPrecision& precision, int32_t layer);
Bytes travelling(Bytes whole, double resident);

PipelineInput pipeline_input(const PipelineSetup& setup);

// What a step asks of each resource.
struct PipelineTotals {
  Bytes weights;          // to the GPU
  Bytes cache_in;         // keys and values, to the GPU
  Bytes activations_in;   // results of attention, to the GPU
  Bytes cache_out;        // new keys and values, to the host; with the CPU's attention they come with the activations
  Bytes activations_out;  // q, k and v, to the host
  Duration gpu;
  Duration cpu;
};

struct PipelinedStep {
  StepGraph step;
  PipelineTotals totals;
};

// The copies of weights for the layers of the next step count as the last layer's.
PipelinedStep build_pipelined_step(const PipelineSetup& setup, const PipelinePlan& plan, const StepRouting& routing,
                                   const Placement& placement);

}  // namespace moesim
