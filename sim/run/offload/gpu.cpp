#include "sim/run/offload/gpu.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/run/cluster.h"

namespace moesim {
namespace {

constexpr int64_t kChunksToJudgeBy = 8;
constexpr int64_t kPrefetchUrgency = 1'000'000;  // and its rank; what a layer waits for has ranks from 0

CopyOptions copy_options(const LoadedScenario& loaded) {
  const OffloadConfig& config = *loaded.scenario.offload;
  CopyParameters measured{10_us, Rate{1}, 2_us};
  if (loaded.profile && loaded.profile->copies.host_to_device) measured = *loaded.profile->copies.host_to_device;
  return {config.chunk, config.copy_latency.value_or(measured.latency), config.copy_gap.value_or(measured.gap)};
}

LevelShape with_parts(LevelShape shape, Bytes capacity, const OffloadConfig& config) {
  divide_level(shape, capacity, config.partition, config.whole_layers);
  return shape;
}

}  // namespace

OffloadGpu::OffloadGpu(const OffloadShared& shared, GpuId gpu, const Ends& ends, OffloadSocket& socket,
                       const LevelShape& shape, Bytes capacity)
    : shared_(shared),
      config_(*shared.loaded.scenario.offload),
      gpu_(gpu),
      group_(shared.layout.expert_group(gpu)),
      ends_(ends),
      socket_(socket),
      speed_(gpu_speed(shared.loaded, gpu)),
      level_(with_parts(shape, capacity, config_), config_.cache,
             Rng::stream(shared.loaded.scenario.seed, fmt::format("offload cache {}", int32_t(gpu)))),
      engine_(shared.sim, shared.executor, copy_options(shared.loaded),
              {this, &OffloadGpu::admit, &OffloadGpu::arrived, &OffloadGpu::copying}),
      bus_(*shared.loaded.scenario.cluster.node.pcie),
      rng_(Rng::stream(shared.loaded.scenario.seed, fmt::format("offload {}", int32_t(gpu)))) {
  socket.engines.push_back(&engine_);
  copies_.resize(shape.item_bytes.size());
  chosen_.resize(size_t(shape.layers));
  for (const Bytes bytes : shape.item_bytes) hosted_.push_back(bytes > Bytes{} ? 1 : 0);
  eager_ = shared.loaded.scenario.launch == Launch::eager;
  now_.layer = shape.layers - 1;  // what comes next is the first
  if (config_.warm) level_.fill_by_popularity();
  forecast_ = [this](int32_t layer) {
    return shared_.forecasts.forecast(group_, layer, running_ ? now_.layer + 1 : 0);
  };
  layer_time_ = [this](int32_t layer, std::span<const ExpertItem> besides) { return layer_time(layer, besides); };
}

// What copies have reached so far, other GPUs' beside them and their latencies counted; at first what the bus can.
Rate OffloadGpu::bus_rate() const {
  if (engine_.carried() < kChunksToJudgeBy * config_.chunk) return bus_;
  return {double(engine_.carried().count) / engine_.busy().seconds()};
}

void OffloadGpu::begin_step(int64_t step, int64_t tokens) {
  step_ = step;
  tokens_ = tokens;
  for (std::vector<int32_t>& chosen : chosen_) chosen.clear();
  if (shared_.forecasts_always)
    for (int32_t layer = 0; layer < int32_t(chosen_.size()); ++layer) forecast_(layer);
  prefetch(-1);
}

void OffloadGpu::begin_layer(const OffloadLayer& layer) {
  CHECK(!running_);
  running_ = true;
  now_ = layer;
  const Time begun = shared_.sim.now();
  if (layer_begun_ > Time{}) interval_ = begun - layer_begun_;
  layer_begun_ = begun;
  cpu_left_ = deferred_left_;
  deferred_left_ = 0;
  beside_ = layer.beside;
  CHECK(!host_open_);
  host_open_ = eager_;
  host_free_ = begun;
  if (shared_.future != nullptr) shared_.future->begin_layer(gpu_, layer.layer);
  need_experts();
  describe_work();
  if (!works_.empty()) {
    const ExpertScheduleInput in = schedule_input(layer.layer, works_);
    const ExpertPlan plan = config_.schedule.decide(in, rng_);
    check_plan(in, plan);
    follow(plan);
  }
  await_prefetches();
  prefetch(layer.layer);
  if (eager_) shared_.sim.at<&OffloadGpu::end_host>(host_free_, *this);
  advance();
}

// Which experts the layer needs, and what the cache hears of it.
void OffloadGpu::need_experts() {
  const std::vector<int32_t>& hosted = shared_.hosted.of(shared_.layout, gpu_, now_.layer);
  CHECK(hosted.size() == now_.rows.size());
  needed_.clear();
  for (size_t i = 0; i < hosted.size(); ++i)
    if (now_.rows[i] > 0 && (needed_.empty() || needed_.back() != hosted[i])) needed_.push_back(hosted[i]);
  level_.route(now_.layer, now_.scores);
  for (const int32_t expert : needed_) note_access(shared_.hosted.item(now_.layer, expert));
  chosen_[size_t(now_.layer)] = needed_;
  if (shared_.forecasts.made(group_, now_.layer)) {
    OffloadLayerSums& sums = shared_.sums.layers[size_t(now_.layer)];
    sums.forecast += int64_t(needed_.size());
    sums.recalled += shared_.forecasts.recalled(group_, now_.layer, needed_, hosted);
  }
}

void OffloadGpu::note_access(ExpertItem item) {
  OffloadLayerSums& sums = shared_.sums.layers[size_t(now_.layer)];
  ++sums.accesses;
  if (level_.present(item))
    ++sums.hits;
  else if (copies_[size_t(item)].under_way && copies_[size_t(item)].prefetched)
    ++sums.late;
  else if (level_.was_present(item))
    ++sums.evicted;
  else
    ++sums.cold;
  level_.pin(item);
  level_.access(item, now_.layer);
}

void OffloadGpu::describe_work() {
  const std::vector<int32_t>& hosted = shared_.hosted.of(shared_.layout, gpu_, now_.layer);
  works_.clear();
  for (size_t i = 0; i < hosted.size(); ++i) {
    if (now_.rows[i] == 0) continue;
    if (!works_.empty() && works_.back().expert == hosted[i]) {  // a second copy in the placement, one here
      works_.back() = work_of(now_.layer, hosted[i], works_.back().tokens + now_.rows[i]);
    } else {
      works_.push_back(work_of(now_.layer, hosted[i], now_.rows[i]));
    }
    works_.back().weight = double(now_.scores[size_t(hosted[i])]);
  }
}

ExpertWork OffloadGpu::work_of(int32_t layer, int32_t expert, int64_t tokens) {
  const ExpertItem item = shared_.hosted.item(layer, expert);
  ExpertWork work;
  work.expert = expert;
  work.tokens = tokens;
  work.resident = level_.present(item);
  work.arriving = copies_[size_t(item)].under_way;
  if (work.arriving && !copies_[size_t(item)].whole)
    work.arrives = transfer_time(engine_.left(copies_[size_t(item)].id), bus_rate());
  work.gpu = on_this_gpu(shared_.costs.on_gpu(tokens));
  work.cpu = shared_.costs.on_cpu(item, tokens);
  work.copy = transfer_time(bytes_of_item(item), bus_rate());
  return work;
}

ExpertScheduleInput OffloadGpu::schedule_input(int32_t layer, std::span<const ExpertWork> works) const {
  ExpertScheduleInput in;
  in.experts = works;
  in.layer = layer;
  in.layers = int32_t(chosen_.size());
  in.tokens = tokens_;
  in.top_k = level_.shape().top_k;
  in.has_prefill = now_.has_prefill;
  in.in_memory = config_.cpu.in_memory;
  in.gpu_busy = on_this_gpu(beside_);
  in.cpu_busy = socket_.cpu->backlog();
  in.cpu_first = shared_.costs.cpu_first();
  in.copies_busy = transfer_time(engine_.on_the_way(), bus_rate());
  return in;
}

// The host launches copies, then the GPU's experts; the CPU begins when it has.
void OffloadGpu::follow(const ExpertPlan& plan) {
  int64_t rank = 0;
  first_on_cpu_ = true;
  for (const PlannedExpert& planned : plan.order)
    if (planned.place == ExpertPlace::gpu) to_gpu(works_[size_t(planned.index)], rank++);
  launch_experts();
  for (const PlannedExpert& planned : plan.order)
    if (planned.place != ExpertPlace::gpu)
      to_cpu(works_[size_t(planned.index)], planned.place == ExpertPlace::deferred);
}

void OffloadGpu::to_gpu(const ExpertWork& work, int64_t rank) {
  ++shared_.sums.on_gpu;
  const ExpertItem item = shared_.hosted.item(now_.layer, work.expert);
  queue_.push_back({item, work.tokens, {}, {}});
  Copy& copy = copies_[size_t(item)];
  if (level_.present(item)) return;
  if (!copy.under_way) {
    submit_copy(item, rank, true);
    return launch_copy(item);
  }
  copy.wanted = true;
  if (copy.whole) return;
  engine_.set_urgency(copy.id, rank);
  socket_.store->hurry(item, rank);
}

void OffloadGpu::submit_copy(ExpertItem item, int64_t urgency, bool wanted) {
  socket_.store->want(item, urgency);
  // The host has prefetches launched by a thread of its own.
  const bool launched = !wanted || !shared_.costs.launches();
  const Bytes ready = launched ? socket_.store->ready(item) : Bytes{};
  const CopyId id = engine_.submit({ends_.host, ends_.gpu, bytes_of_item(item), urgency, ready, uint64_t(item)});
  copies_[size_t(item)] = {id, true, false, wanted, false, launched};
}

// Forgets a copy that has not begun.
bool OffloadGpu::drop_copy(ExpertItem item) {
  Copy& copy = copies_[size_t(item)];
  if (!copy.under_way || level_.reserved(item) || !engine_.cancel(copy.id)) return false;
  copy.under_way = false;
  socket_.store->let_go(item, false);
  return true;
}

bool OffloadGpu::admit(void* gpu, uint64_t item) { return static_cast<OffloadGpu*>(gpu)->make_room(ExpertItem(item)); }

bool OffloadGpu::make_room(ExpertItem item) {
  Copy& copy = copies_[size_t(item)];
  if (!level_.reserve(item, !copy.wanted, now_.layer, sight())) return false;
  copy.prefetched = !copy.wanted;
  (copy.wanted ? shared_.sums.demanded : shared_.sums.prefetched) += bytes_of_item(item);
  return true;
}

ExpertLevel::Sight OffloadGpu::sight() const {
  ExpertLevel::Sight sight;
  sight.forecast = shared_.forecasts.all(group_);
  if (shared_.future != nullptr) sight.next_use = shared_.future->next_use(gpu_);
  return sight;
}

void OffloadGpu::arrived(void* gpu, uint64_t item, Bytes so_far) {
  static_cast<OffloadGpu*>(gpu)->take_chunk(ExpertItem(item), so_far);
}

void OffloadGpu::take_chunk(ExpertItem item, Bytes so_far) {
  const Bytes bytes = bytes_of_item(item);
  const Bytes chunk{(so_far.count - 1) % config_.chunk.count + 1};
  shared_.sums.bus.add(shared_.sim.now(), chunk);
  shared_.sums.dram.add(shared_.sim.now(), chunk);
  const Duration took = engine_.busy() - busy_drawn_;
  draw(Lane::copy_in, Operation::copy, item, Time{shared_.sim.now().ps - took.ps});
  busy_drawn_ = engine_.busy();
  if (so_far < bytes) return;
  socket_.store->let_go(item, true);
  copies_[size_t(item)].whole = true;
  shared_.sim.after<&OffloadGpu::landed>(shared_.costs.decode(item), *this, uint64_t(item));
}

// Until now; the number of an expert stands where a task has its part.
void OffloadGpu::draw(Lane lane, Operation operation, ExpertItem item, Time start) const {
  if (shared_.timeline == nullptr) return;
  const int32_t layer = shared_.model_layer[size_t(item / shared_.hosted.experts)];
  const uint32_t label = pack({operation, layer, item % shared_.hosted.experts});
  add_slice(*shared_.timeline, {start, shared_.sim.now(), stream_of(gpu_, lane), label, int32_t(step_)});
}

void OffloadGpu::copying(void* gpu, bool is_active) {
  OffloadGpu& self = *static_cast<OffloadGpu*>(gpu);
  self.socket_.copying += is_active ? 1 : -1;
  self.set_pace();
}

void OffloadGpu::landed(uint64_t payload) {
  const ExpertItem item = ExpertItem(payload);
  Copy& copy = copies_[size_t(item)];
  copy.under_way = false;
  level_.arrived(item);
  engine_.retry();
  last_landed_late_ = copy.prefetched;
  advance();
}

void OffloadGpu::host_ready(ExpertItem item, Bytes so_far) {
  const Copy& copy = copies_[size_t(item)];
  if (copy.under_way && !copy.whole && copy.launched) engine_.feed(copy.id, so_far);
  if (so_far < bytes_of_item(item)) return;
  for (uint32_t job = 0; job < jobs_.size(); ++job)
    if (jobs_[job].waiting && jobs_[job].item == item) start_cpu(job);
}

// Those for this layer go before those for later ones. Where the layer's own experts take all places, none could come.
void OffloadGpu::await_prefetches() {
  awaited_.clear();
  if (!config_.whole_prefetches || level_.places()[size_t(now_.layer)] <= int64_t(needed_.size())) return;
  int64_t rank = int64_t(queue_.size());
  for (const ExpertItem item : prefetches_) {
    Copy& copy = copies_[size_t(item)];
    if (item / shared_.hosted.experts != now_.layer || !copy.under_way) continue;
    awaited_.push_back(item);
    if (!copy.wanted && !copy.whole) engine_.set_urgency(copy.id, rank++);
  }
}

void OffloadGpu::prefetch(int32_t layer) {
  for (const ExpertItem item : prefetches_)
    if (!copies_[size_t(item)].wanted && std::find(awaited_.begin(), awaited_.end(), item) == awaited_.end())
      drop_copy(item);
  prefetches_.clear();
  const PrefetchInput in{.layers = int32_t(chosen_.size()),
                         .experts = shared_.hosted.experts,
                         .top_k = level_.shape().top_k,
                         .layer = layer,
                         .tokens = tokens_,
                         .step = step_,
                         .past = shared_.past,
                         .chosen = std::span(chosen_).first(size_t(layer) + 1),
                         .present = level_.taken(),
                         .hosted = hosted_,
                         .places = level_.places(),
                         .copy = transfer_time(level_.largest(), bus_rate()),
                         .window = interval_,
                         .forecast = forecast_,
                         .layer_time = layer_time_};
  int64_t rank = 0;
  for (const ExpertItem item : config_.prefetch.step(prefetch_, in, rng_)) {
    if (level_.taken()[size_t(item)] != 0 || copies_[size_t(item)].under_way || hosted_[size_t(item)] == 0) continue;
    if (level_.places()[size_t(item / shared_.hosted.experts)] == 0) continue;
    submit_copy(item, kPrefetchUrgency + rank++, false);
    prefetches_.push_back(item);
  }
}

Duration OffloadGpu::layer_time(int32_t layer, std::span<const ExpertItem> besides) {
  const std::span<const float> expected = forecast_(layer);
  const std::vector<int32_t>& hosted = shared_.hosted.of(shared_.layout, gpu_, layer);
  likely_.assign(hosted.begin(), hosted.end());
  const auto enough = [&](int32_t expert) { return expected[size_t(expert)] >= 0.5F; };
  const int64_t surely = std::count_if(likely_.begin(), likely_.end(), enough);
  const int64_t count = std::min<int64_t>(int64_t(likely_.size()), std::max<int64_t>(surely, level_.shape().top_k));
  std::partial_sort(likely_.begin(), likely_.begin() + count, likely_.end(), [&](int32_t a, int32_t b) {
    return expected[size_t(a)] != expected[size_t(b)] ? expected[size_t(a)] > expected[size_t(b)] : a < b;
  });
  std::sort(likely_.begin(), likely_.begin() + count);
  likely_works_.clear();
  for (int64_t i = 0; i < count; ++i) {
    const int32_t expert = likely_[size_t(i)];
    if (i > 0 && expert == likely_[size_t(i - 1)]) continue;
    ExpertWork work = work_of(layer, expert, std::max<int64_t>(1, std::llround(expected[size_t(expert)])));
    const ExpertItem item = shared_.hosted.item(layer, expert);
    if (work.arriving || std::find(besides.begin(), besides.end(), item) != besides.end()) work.resident = true;
    if (work.resident) work.arrives = {};
    likely_works_.push_back(work);
  }
  ExpertScheduleInput in = schedule_input(layer, likely_works_);
  in.cpu_busy = {};
  in.copies_busy = {};
  return plan_times(in, config_.schedule.decide(in, rng_)).makespan();
}

}  // namespace moesim
