#include "sim/work/paced_server.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Time for that much work, in picoseconds at pace 1. Picoseconds are whole numbers in a double for two hours.
Duration time_for(double work, double pace) {
  const double ps = std::ceil(std::max(work, 0.0) / pace);
  CHECK(ps < 0x1p63);
  return {int64_t(ps)};
}

}  // namespace

PacedServer::PacedServer(Simulator& sim, Client client) : sim_(sim), client_(client) { CHECK(client.done != nullptr); }

void PacedServer::submit(uint64_t job, Duration length) {
  CHECK(length >= Duration{});
  if (jobs_.empty()) {
    since_ = busy_since_ = sim_.now();
    done_ = 0;
  }
  jobs_.push_back({job, length});
  length_ += length;
  if (jobs_.size() == 1) post();
}

void PacedServer::set_pace(double pace) {
  CHECK(pace > 0);
  if (pace == pace_) return;
  if (!jobs_.empty()) {
    done_ = done_by_now();
    since_ = sim_.now();
  }
  pace_ = pace;
  if (!jobs_.empty()) post();
}

bool PacedServer::idle() const { return jobs_.empty(); }

Duration PacedServer::backlog() const {
  return jobs_.empty() ? Duration{} : time_for(double(length_.ps) - done_by_now(), pace_);
}

Duration PacedServer::busy() const { return jobs_.empty() ? busy_ : busy_ + (sim_.now() - busy_since_); }

// Of the first job; at its end a little more than its length, since the end rounds up.
double PacedServer::done_by_now() const { return done_ + double((sim_.now() - since_).ps) * pace_; }

Time PacedServer::due() const { return since_ + time_for(double(jobs_.front().length.ps) - done_, pace_); }

void PacedServer::post() {
  const Time time = due();
  if (time >= posted_) return;
  posted_ = time;
  sim_.at<&PacedServer::finish_next>(time, *this);
}

void PacedServer::finish_next() {
  if (sim_.now() != posted_) return;  // an earlier event has been posted since
  posted_ = Time{INT64_MAX};
  if (sim_.now() < due()) return post();  // the pace has changed since
  const Job done = jobs_.front();
  jobs_.pop_front();
  length_ = length_ - done.length;
  if (jobs_.empty()) {
    busy_ += sim_.now() - busy_since_;
  } else {
    done_ = std::max(done_by_now() - double(done.length.ps), 0.0);
    since_ = sim_.now();
    post();
  }
  client_.done(client_.object, done.job);
}

}  // namespace moesim
