// What a GPU and the CPU of its socket compute of a layer, and what they wait for.
#include <algorithm>

#include "sim/core/check.h"
#include "sim/run/offload/gpu.h"

namespace moesim {

Duration OffloadGpu::on_this_gpu(Duration time) const {
  return speed_ == 1 ? time : duration_of_seconds(time.seconds() / speed_);
}

void OffloadGpu::to_cpu(const ExpertWork& work, bool deferred) {
  ++shared_.sums.on_cpu;
  if (deferred) ++shared_.sums.deferred;
  const ExpertItem item = shared_.hosted.item(now_.layer, work.expert);
  ++(deferred ? deferred_left_ : cpu_left_);
  if (free_jobs_.empty()) {
    free_jobs_.push_back(uint32_t(jobs_.size()));
    jobs_.emplace_back();
  }
  const uint32_t job = free_jobs_.back();
  free_jobs_.pop_back();
  Duration length = work.cpu;
  if (first_on_cpu_) length += shared_.costs.cpu_first();
  first_on_cpu_ = false;
  jobs_[job] = {item, length, deferred, now_.layer, false};
  if (!config_.cpu.in_memory) {
    level_.unpin(item);  // it is computed from the host's memory
    drop_copy(item);
    socket_.store->want(item, 0);
  }
  if (host_free_ == shared_.sim.now()) return begin_cpu(job);
  shared_.sim.at<&OffloadGpu::begin_cpu>(host_free_, *this, uint64_t{job});
}

void OffloadGpu::begin_cpu(uint64_t number) {
  const uint32_t job = uint32_t(number);
  if (config_.cpu.in_memory) return start_cpu(job);
  const ExpertItem item = jobs_[job].item;
  jobs_[job].waiting = socket_.store->ready(item) < bytes_of_item(item);
  if (!jobs_[job].waiting) start_cpu(job);
}

void OffloadGpu::start_cpu(uint32_t job) {
  jobs_[job].waiting = false;
  jobs_[job].submitted = shared_.sim.now();
  socket_.cpu->submit(uint64_t(int32_t(gpu_)) << 32 | job, jobs_[job].length);
  set_pace();
}

// The CPU beside copies: as much longer as was measured, and at least as the memory has no bandwidth for both. Copies
// yield likewise, from their next chunk on.
void OffloadGpu::set_pace() {
  const CopyInterference& both = shared_.interference;
  const bool computes = !socket_.cpu->idle() && !config_.cpu.in_memory;
  const double copies = double(socket_.copying) * both.bus.bytes_per_s;
  const double asked = copies + both.cpu_reads.bytes_per_s;
  const double shortage = std::max(1.0, asked / both.memory.bytes_per_s);
  // Of several copies the network knows that they share the memory.
  const double alone = std::max(1.0, copies / both.memory.bytes_per_s);
  for (CopyEngine* engine : socket_.engines)
    engine->set_slowdown(computes ? std::max(both.copies_beside_cpu, shortage / alone) : 1);
  if (computes) socket_.cpu->set_pace(socket_.copying == 0 ? 1 : 1 / std::max(both.cpu_beside_copies, shortage));
}

void OffloadGpu::cpu_done(uint32_t job) {
  const CpuJob done = jobs_[job];
  free_jobs_.push_back(job);
  if (config_.cpu.in_memory) {
    level_.unpin(done.item);
    engine_.retry();
  } else {
    socket_.store->let_go(done.item, true);
    shared_.sums.dram.add(shared_.sim.now(), bytes_of_item(done.item));
  }
  draw(Lane::cpu, Operation::experts, done.item, std::max(done.submitted, socket_.done));
  socket_.done = shared_.sim.now();
  set_pace();
  // A deferred one counts in the layer after its own, which may have begun by now.
  const bool is_ahead = done.deferred && done.layer == now_.layer;
  --(is_ahead ? deferred_left_ : cpu_left_);
  end_host();
  advance();
}

// Goes on with the layer as far as it can be at this instant.
void OffloadGpu::advance() {
  if (!running_ || gpu_busy_) return;
  const auto is_on_its_way = [&](ExpertItem item) { return copies_[size_t(item)].under_way; };
  if (std::any_of(awaited_.begin(), awaited_.end(), is_on_its_way)) return stall_from_now(false);
  const auto is_ready = [&](const Queued& queued) { return level_.present(queued.item); };
  if (beside_ > Duration{} || std::any_of(queue_.begin(), queue_.end(), is_ready)) return run_ready();
  if (!queue_.empty()) return stall_from_now(false);
  if (cpu_left_ > 0) return stall_from_now(true);
  finish_layer();
}

// All experts that are there run in one grouped kernel, or one by one where the scenario says what each takes, or the
// host launches them.
void OffloadGpu::run_ready() {
  if (stalled_) end_stall(last_landed_late_ ? StallCause::late : StallCause::copy);
  computing_.clear();
  rows_.clear();
  const bool is_launched = shared_.costs.launches().has_value();
  const bool one_by_one = is_launched || config_.gpu_expert.has_value();
  for (auto queued = queue_.begin(); queued != queue_.end() && !(one_by_one && !computing_.empty());) {
    if (!level_.present(queued->item)) {
      ++queued;
      continue;
    }
    computing_.push_back(*queued);
    rows_.push_back(queued->tokens);
    queued = queue_.erase(queued);
  }
  Duration time = beside_;
  beside_ = {};
  if (rows_.size() == 1)
    time += shared_.costs.on_gpu(rows_.front());
  else if (!rows_.empty())
    time += shared_.costs.together_on_gpu(rows_);
  time = on_this_gpu(time);
  if (is_launched && !computing_.empty()) time = launched_time(computing_.front(), time);
  shared_.sums.gpu += time;
  gpu_busy_ = true;
  shared_.sim.after<&OffloadGpu::gpu_done>(time, *this);
}

void OffloadGpu::gpu_done() {
  gpu_busy_ = false;
  for (const Queued& done : computing_) level_.unpin(done.item);
  if (!computing_.empty()) engine_.retry();
  advance();
}

void OffloadGpu::finish_layer() {
  if (stalled_) end_stall(StallCause::cpu);
  CHECK(queue_.empty());
  running_ = false;
  end_host();
  CHECK(!host_open_);
  shared_.forecasts.forget(group_, now_.layer);
  shared_.executor.worked_outside(now_.graph, now_.task);
}

void OffloadGpu::stall_from_now(bool for_cpu) {
  if (stalled_ && stalled_for_cpu_ == for_cpu) return;
  if (stalled_) end_stall(StallCause::copy);
  stalled_ = shared_.sim.now();
  stalled_for_cpu_ = for_cpu;
}

void OffloadGpu::end_stall(StallCause cause) {
  const Duration stall = shared_.sim.now() - *stalled_;
  stalled_.reset();
  shared_.sums.stalls[size_t(cause)] += stall;
  shared_.sums.layers[size_t(now_.layer)].stall += stall;
}

}  // namespace moesim
