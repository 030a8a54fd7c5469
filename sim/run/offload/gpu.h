// One GPU whose experts do not all fit its memory: what it does in the experts' part of each layer.
//
// When a layer's tokens are routed, a schedule says where each of its experts runs; those that are missing are copied,
// chunk by chunk, or computed by the CPU of the GPU's socket. The part is done when all are, but for those deferred to
// the next layer's. Then, and before the first layer, prefetches for later layers are decided on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/moe/offload/expert_level.h"
#include "sim/run/offload/accounts.h"
#include "sim/run/offload/costs.h"
#include "sim/run/offload/forecasts.h"
#include "sim/run/offload/future.h"
#include "sim/run/offload/host_store.h"
#include "sim/run/timeline.h"
#include "sim/work/copy_engine.h"
#include "sim/work/paced_server.h"

namespace moesim {

// What CPU experts and copies take from each other, as measured, or as the memory's bandwidth has it.
struct CopyInterference {
  double cpu_beside_copies = 1;
  double copies_beside_cpu = 1;
  Rate memory{1};  // of a socket
  Rate bus{1};
  Rate cpu_reads{1};
};

// What the GPUs of a run share. All of it must outlive them.
struct OffloadShared {
  const LoadedScenario& loaded;
  const Layout& layout;
  const HostedExperts& hosted;
  const PastTokens& past;
  Simulator& sim;
  Executor& executor;
  ExpertCosts& costs;
  ExpertForecasts& forecasts;
  FutureUses* future = nullptr;  // where the cache reads it
  OffloadSums& sums;
  bool forecasts_always = false;  // the cache reads forecasts
  CopyInterference interference{};
  const std::vector<int32_t>& model_layer;  // [MoE layer]
  Timeline* timeline = nullptr;             // where somebody wants it
};

// The processor of a socket, and how the copies from its memory and its reads slow each other.
struct OffloadSocket {
  std::unique_ptr<PacedServer> cpu;
  HostStore* store = nullptr;          // of its server
  int32_t copying = 0;                 // GPUs to which it copies
  std::vector<CopyEngine*> engines{};  // of its GPUs
  Time done{};                         // when the processor last was done with an expert
};

// What a layer asks of a GPU.
struct OffloadLayer {
  GraphId graph{};
  TaskId task{};
  int32_t layer = 0;              // MoE layer
  std::span<const int64_t> rows;  // tokens of each expert that it hosts, in their order
  std::span<const float> scores;  // of the gate, [expert], summed over tokens
  bool has_prefill = false;
  Duration beside;  // shared experts, regrouping
};

class OffloadGpu {
 public:
  struct Ends {
    EndpointId host{};
    EndpointId gpu{};
  };

  OffloadGpu(const OffloadShared& shared, GpuId gpu, const Ends& ends, OffloadSocket& socket, const LevelShape& shape,
             Bytes capacity);
  OffloadGpu(const OffloadGpu&) = delete;  // copies under way point to it
  OffloadGpu& operator=(const OffloadGpu&) = delete;

  void begin_step(int64_t step, int64_t tokens);
  void begin_layer(const OffloadLayer& layer);
  void begin_host(GraphId graph, TaskId task);  // the host's part of a layer, where launches are eager

  // An expert of this GPU on the CPU is done; so much of an expert lies in host memory.
  void cpu_done(uint32_t job);
  void host_ready(ExpertItem item, Bytes so_far);

  const ExpertLevel& level() const { return level_; }
  const CopyEngine& engine() const { return engine_; }

 private:
  // Of each expert; a copy is under way from when it is asked for until it has arrived whole.
  struct Copy {
    CopyId id{};
    bool under_way = false;
    bool whole = false;       // all of it has arrived, and is being unpacked
    bool wanted = false;      // by a layer, not by a prefetch alone
    bool prefetched = false;  // it began before anybody wanted it
    bool launched = true;     // by the host
  };
  struct Queued {
    ExpertItem item = kNoItem;
    int64_t tokens = 0;
    Time first_launch{};  // of its kernels, where launches are eager
    Time last_launch{};
  };
  struct HostTask {
    GraphId graph{};
    TaskId task{};
  };
  struct CpuJob {
    ExpertItem item = kNoItem;
    Duration length;
    bool deferred = false;
    int32_t layer = 0;
    bool waiting = false;  // for the host's memory
    Time submitted{};
  };

  static bool admit(void* gpu, uint64_t item);
  static void arrived(void* gpu, uint64_t item, Bytes so_far);
  static void copying(void* gpu, bool is_active);

  void need_experts();
  void note_access(ExpertItem item);
  void describe_work();
  ExpertWork work_of(int32_t layer, int32_t expert, int64_t tokens);
  ExpertScheduleInput schedule_input(int32_t layer, std::span<const ExpertWork> works) const;
  void follow(const ExpertPlan& plan);
  void to_gpu(const ExpertWork& work, int64_t rank);
  void to_cpu(const ExpertWork& work, bool deferred);
  void begin_cpu(uint64_t job);
  void start_cpu(uint32_t job);
  void launch_copy(ExpertItem item);
  void copy_launched(uint64_t item);
  void launch_experts();
  void all_launched();
  void end_host();
  Duration launched_time(const Queued& queued, Duration time) const;
  void set_pace();
  void submit_copy(ExpertItem item, int64_t urgency, bool wanted);
  bool drop_copy(ExpertItem item);
  void prefetch(int32_t layer);
  void await_prefetches();
  Duration layer_time(int32_t layer, std::span<const ExpertItem> besides);
  void landed(uint64_t item);
  void advance();
  void run_ready();
  void gpu_done();
  void finish_layer();
  void stall_from_now(bool for_cpu);
  void end_stall(StallCause cause);
  Bytes bytes_of_item(ExpertItem item) const { return level_.shape().item_bytes[size_t(item)]; }
  Duration on_this_gpu(Duration time) const;
  Rate bus_rate() const;
  bool make_room(ExpertItem item);
  void take_chunk(ExpertItem item, Bytes so_far);
  void draw(Lane lane, Operation operation, ExpertItem item, Time start) const;
  ExpertLevel::Sight sight() const;

  const OffloadShared& shared_;
  const OffloadConfig& config_;
  const GpuId gpu_;
  const int32_t group_;
  const Ends ends_;
  OffloadSocket& socket_;
  double speed_ = 1;
  ExpertLevel level_;
  CopyEngine engine_;
  Rate bus_;
  Rng rng_;
  PrefetchState prefetch_;
  Duration busy_drawn_;  // of the copy engine, that is in the timeline

  std::vector<uint8_t> hosted_;         // [item]
  std::vector<Copy> copies_;            // [item]
  std::vector<ExpertItem> prefetches_;  // that may not have begun
  std::vector<ExpertItem> awaited_;     // prefetches that the layer waits for, needed or not
  std::function<std::span<const float>(int32_t layer)> forecast_;
  std::function<Duration(int32_t layer, std::span<const ExpertItem> besides)> layer_time_;

  OffloadLayer now_{};  // the layer that runs
  bool running_ = false;
  int64_t step_ = 0;
  int64_t tokens_ = 0;                        // of the step
  std::vector<int32_t> needed_;               // experts of the layer
  std::vector<int32_t> likely_;               // what layer_time() works in
  std::vector<std::vector<int32_t>> chosen_;  // [MoE layer] of the step so far
  std::vector<ExpertWork> works_;
  std::vector<ExpertWork> likely_works_;  // what layer_time() works in
  std::vector<Queued> queue_;             // for the GPU, in the plan's order
  std::vector<Queued> computing_;         // on the GPU
  std::vector<int64_t> rows_;
  bool gpu_busy_ = false;
  Duration beside_;  // not yet computed
  Time layer_begun_;
  Duration interval_;  // from a layer's experts to the next one's
  std::optional<Time> stalled_;
  bool stalled_for_cpu_ = false;
  bool last_landed_late_ = false;  // what arrived last had been prefetched
  bool first_on_cpu_ = true;       // of the layer
  bool eager_ = false;
  Time host_free_;           // when the host has launched all that the layer has asked for so far
  bool host_open_ = false;   // it is not done with the layer
  bool host_waits_ = false;  // it is, but its task has not begun
  std::optional<HostTask> host_task_;
  std::vector<CpuJob> jobs_;
  std::vector<uint32_t> free_jobs_;
  int32_t cpu_left_ = 0;       // of this layer, and those deferred to it
  int32_t deferred_left_ = 0;  // to the next
};

}  // namespace moesim
