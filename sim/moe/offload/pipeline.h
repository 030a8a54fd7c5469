// A step whose weights stream through one GPU from the host's memory, layer by layer, while the requests of a large
// batch take turns as micro-batches. Attention runs on the GPU, or on the CPU where the keys and values lie.
//
// An order says in which sequence the copies and the work of a step are issued. Each kind of work has a queue of its
// own, which does one thing after another, and what waits for what follows from the data; pipeline_step.h builds that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sim/config/registry.h"

namespace moesim {

enum class AttentionPlace : uint8_t { gpu, cpu };

constexpr auto enum_names(AttentionPlace) {
  return std::to_array<std::pair<AttentionPlace, const char*>>(
      {{AttentionPlace::gpu, "gpu"}, {AttentionPlace::cpu, "cpu"}});
}

enum class PipelineWork : uint8_t {
  load,     // a page of a layer's weights, to the GPU
  fetch,    // keys and values of a micro-batch, to the GPU
  project,  // norm and the projections of q, k and v, on the GPU
  send,     // to the host: q, k and v, or the new keys and values alone
  attend,   // attention between the projections
  receive,  // its result, to the GPU, where the CPU attended
  finish,   // output projection and feed-forward, on the GPU
  wait,     // for all that was issued before, by all that follows
};
constexpr size_t kPipelineWorks = 8;

// Of a micro-batch, or of a page. `load` counts layers on: behind the last one come the first of the next step.
struct PipelineTask {
  PipelineWork work{};
  int32_t layer = 0;
  int32_t part = 0;
  friend bool operator==(const PipelineTask&, const PipelineTask&) = default;
};

// What an order needs to know of the step.
struct PipelineInput {
  int32_t layers = 1;
  int32_t micro_batches = 1;
  bool streams = true;                // some weights are not on the GPU
  bool fetches = false;               // keys and values travel to the GPU
  bool sends = true;                  // something travels to the host
  bool receives = true;               // the CPU attends
  Bytes layer_weights;                // that travel, of the largest layer
  std::vector<double> project_share;  // [layer] of the weights that travel, those that `project` needs; they come first
};

// Tasks in order of issue, each after all that it waits for.
struct PipelinePlan {
  std::vector<PipelineTask> tasks;
  int32_t pages = 1;       // that a layer's weights travel in
  int32_t buffers = 2;     // layers of weights that the GPU has room for; all but one are there as the step begins
  bool one_queue = false;  // activations queue with weights for the bus, instead of sharing it with them
};

struct PipelineOrder {
  using Input = PipelineInput;
  using Decision = PipelinePlan;
  static constexpr const char* kind = "pipeline order";
};

// CHECKs that each task comes once and after what it needs, and that no other does.
void check_plan(const PipelinePlan& plan, const PipelineInput& in);

// The last page of layer `layer` that `project` waits for.
int32_t last_project_page(const PipelineInput& in, int32_t pages, int32_t layer);

// Writes a plan. What a task needs and was not issued before is issued with it; what the step does not do is left out.
class PipelineWriter {
 public:
  PipelineWriter(const PipelineInput& in, int32_t pages, int32_t buffers, bool one_queue = false);

  void load(int32_t layer, int32_t page);  // nothing where it was issued before, or was there as the step began
  void load_layer(int32_t layer);
  void fetch(int32_t layer, int32_t micro_batch);
  void attend(int32_t layer, int32_t micro_batch);   // project to attend; nothing behind the last layer
  void receive(int32_t layer, int32_t micro_batch);  // nothing where it was issued before
  void finish(int32_t layer, int32_t micro_batch);
  void wait();

  PipelinePlan take();  // with the loads that nobody asked for

 private:
  bool issue(PipelineWork work, int32_t layer, int32_t part);
  void load_pages(int32_t layer, int32_t last);

  const PipelineInput& in_;
  PipelinePlan plan_;
  std::array<std::vector<bool>, kPipelineWorks> issued_;  // [work][layer * parts + part]
};

struct PipelineSettings {
  PolicyChoice<PipelineOrder> order{"cgopipe"};
  std::optional<int32_t> micro_batch;
  AttentionPlace attention = AttentionPlace::cpu;
  double resident_weights = 0;
  double resident_cache = 0;
  std::optional<Rate> cpu_memory;
  std::optional<FlopRate> cpu_compute;
  std::optional<Bytes> host_memory;
};

template <class Visitor>
void fields(Visitor& v, PipelineSettings& s) {
  v.optional("order", s.order, "in which order copies and work are issued");
  v.optional("micro_batch", s.micro_batch, between(1, 1'000'000),
             "requests that are computed together. Half of the batch");
  v.optional("attention", s.attention,
             "where attention runs: `gpu`, or `cpu`, beside the keys and values in the host's memory");
  v.optional("resident_weights", s.resident_weights, between(0.0, 1.0),
             "part of each layer's weights that stays in the GPU's memory; the rest travels in each step");
  v.optional("resident_cache", s.resident_cache, between(0.0, 1.0),
             "part of the keys and values in the GPU's memory; the rest travels to it where the GPU attends");
  v.optional("cpu_memory", s.cpu_memory, above(Rate{0}),
             "what attention reads of the memory of the GPU's socket, weights that travel beside it included. 73 % of "
             "the data sheet's");
  v.optional("cpu_compute", s.cpu_compute, above(FlopRate{0}),
             "what attention computes on that socket. The CPU's bf16 rate, or 147 Gflop/s a core");
  v.optional("host_memory", s.host_memory, above(Bytes{0}),
             "of the host, that weights, keys and values may fill; not checked where it is not said");
}

}  // namespace moesim
