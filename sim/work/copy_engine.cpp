#include "sim/work/copy_engine.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {

CopyEngine::CopyEngine(Simulator& sim, Executor& executor, const CopyOptions& options, CopyClient client)
    : sim_(sim),
      executor_(executor),
      options_(options),
      client_(client),
      sender_(executor.add_sender({&CopyEngine::sent_arrived, this})) {
  CHECK(options.chunk > Bytes{});
  CHECK(options.latency >= Duration{});
  CHECK(options.gap >= Duration{});
  CHECK(client.arrived != nullptr);
}

CopyId CopyEngine::submit(const CopyRequest& request) {
  CHECK(request.bytes > Bytes{});
  CHECK(request.ready >= Bytes{});
  CHECK(request.ready <= request.bytes);
  if (free_.empty()) {
    free_.push_back(uint32_t(copies_.size()));
    copies_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  copies_[slot] = {request, ++submitted_, {}, {}};
  if (request.ready > Bytes{}) list(slot);
  return CopyId(slot);
}

void CopyEngine::set_urgency(CopyId copy, int64_t urgency) {
  Copy& changed = copies_[slot_of(copy)];
  changed.request.urgency = urgency;
  if (changed.place != kNone) ready_[changed.place].urgency = urgency;
}

bool CopyEngine::cancel(CopyId copy) {
  const uint32_t slot = slot_of(copy);
  const Copy& cancelled = copies_[slot];
  if (cancelled.begun) return false;
  if (cancelled.place != kNone)
    unlist(slot);
  else
    std::erase(refused_, slot);  // or nothing of it was ready
  release(slot);
  return true;
}

void CopyEngine::feed(CopyId copy, Bytes ready) {
  const uint32_t slot = slot_of(copy);
  Copy& fed = copies_[slot];
  CHECK(ready >= fed.request.ready);
  CHECK(ready <= fed.request.bytes);
  const bool had_all_sent = fed.sent == fed.request.ready;  // so that it was neither in ready_ nor refused
  fed.request.ready = ready;
  if (had_all_sent && ready > fed.sent) list(slot);
}

void CopyEngine::retry() {
  if (refused_.empty()) return;
  retrying_ = true;
  choose_later();
}

void CopyEngine::set_slowdown(double factor) {
  CHECK(factor >= 1);
  slowdown_ = factor;
}

bool CopyEngine::begun(CopyId copy) const { return copies_[slot_of(copy)].begun; }

Bytes CopyEngine::left(CopyId copy) const {
  const Copy& asked = copies_[slot_of(copy)];
  return asked.request.bytes - asked.arrived;
}

bool CopyEngine::active() const { return chunk_.bytes > Bytes{}; }

Bytes CopyEngine::on_the_way() const { return chunk_.bytes; }

Duration CopyEngine::busy() const { return active() ? busy_ + (sim_.now() - chunk_.begun) : busy_; }

Bytes CopyEngine::carried() const { return carried_; }

Bytes CopyEngine::sent() const { return chunk_.waits ? carried_ : carried_ + chunk_.bytes; }

uint32_t CopyEngine::slot_of(CopyId copy) const {
  CHECK(index(copy) < copies_.size());
  CHECK(copies_[index(copy)].sequence != 0);
  return uint32_t(index(copy));
}

void CopyEngine::list(uint32_t slot) {
  Copy& copy = copies_[slot];
  copy.place = uint32_t(ready_.size());
  ready_.push_back({copy.request.urgency, copy.sequence, slot});
  choose_later();
}

void CopyEngine::unlist(uint32_t slot) {
  const uint32_t place = copies_[slot].place;
  ready_[place] = ready_.back();
  copies_[ready_[place].slot].place = place;
  ready_.pop_back();
  copies_[slot].place = kNone;
}

void CopyEngine::release(uint32_t slot) {
  copies_[slot].sequence = 0;
  free_.push_back(slot);
}

// Once the instant is quiet, so that whatever happens at it has its say in the choice.
void CopyEngine::choose_later() {
  if (choosing_ || active()) return;
  choosing_ = true;
  sim_.settle<&CopyEngine::choose>(*this);
}

void CopyEngine::choose() {
  choosing_ = false;
  if (active()) return;  // asked for while an earlier call here asked the client
  if (retrying_) {  // not in retry(), so that a client that asks for it while it refuses cannot go round in the loop
    retrying_ = false;
    for (const uint32_t slot : refused_) list(slot);
    refused_.clear();
  }
  while (!ready_.empty()) {
    const uint32_t slot = most_urgent();
    if (copies_[slot].begun || admitted(slot)) return begin_chunk(slot);
  }
  tell_active(false);
}

void CopyEngine::tell_active(bool is_active) {
  if (told_active_ == is_active) return;
  told_active_ = is_active;
  if (client_.active != nullptr) client_.active(client_.object, is_active);
}

uint32_t CopyEngine::most_urgent() const {
  Ready best = ready_.front();
  for (const Ready& each : ready_)
    if (each.urgency < best.urgency || (each.urgency == best.urgency && each.sequence < best.sequence)) best = each;
  return best.slot;
}

// Asks the client, who may submit and cancel meanwhile, this copy too.
bool CopyEngine::admitted(uint32_t slot) {
  const uint64_t sequence = copies_[slot].sequence;
  const bool admits = client_.admit == nullptr || client_.admit(client_.object, copies_[slot].request.tag);
  Copy& copy = copies_[slot];
  if (copy.sequence != sequence) return false;
  copy.begun = admits;
  if (!admits) {
    unlist(slot);
    refused_.push_back(slot);
  }
  return admits;
}

void CopyEngine::begin_chunk(uint32_t slot) {
  tell_active(true);  // whereupon the client may set the slowdown
  Copy& copy = copies_[slot];
  const Time now = sim_.now();
  chunk_ = {slot, std::min(options_.chunk, copy.request.ready - copy.sent), now, now, slowdown_, true};
  copy.sent += chunk_.bytes;
  if (copy.sent == copy.request.ready) unlist(slot);
  const Duration wait = finished_ == now ? options_.gap : options_.latency + options_.gap;
  if (wait == Duration{}) return send_chunk();
  sim_.after<&CopyEngine::send_chunk>(wait, *this);
}

void CopyEngine::send_chunk() {
  const CopyRequest& request = copies_[chunk_.slot].request;
  chunk_.sent = sim_.now();
  chunk_.waits = false;
  executor_.send({request.from, request.to, chunk_.bytes}, sender_, chunk_.slot);
}

void CopyEngine::sent_arrived(void* engine, uint64_t) { static_cast<CopyEngine*>(engine)->chunk_arrived(); }

void CopyEngine::chunk_arrived() {
  const double longer = std::ceil((chunk_.slowdown - 1) * double((sim_.now() - chunk_.sent).ps));
  CHECK(longer < 0x1p63);
  if (longer == 0) return finish_chunk();
  sim_.after<&CopyEngine::finish_chunk>(Duration{int64_t(longer)}, *this);
}

void CopyEngine::finish_chunk() {
  const Chunk chunk = chunk_;
  chunk_ = {};
  finished_ = sim_.now();
  busy_ += finished_ - chunk.begun;
  carried_ += chunk.bytes;
  Copy& copy = copies_[chunk.slot];
  copy.arrived += chunk.bytes;
  if (!ready_.empty() || retrying_)
    choose_later();
  else
    tell_active(false);

  const Bytes so_far = copy.arrived;
  const bool whole = so_far == copy.request.bytes;
  client_.arrived(client_.object, copy.request.tag, so_far);  // may submit others, so that `copy` moves
  if (whole) release(chunk.slot);
}

}  // namespace moesim
