// Does jobs one after another, at a pace that may change while they run: the cores of a CPU beside copies that take of
// the memory's bandwidth. A job's end rounds up to a picosecond, and the next loses nothing by that.
#pragma once

#include <cstdint>
#include <deque>

#include "sim/core/simulator.h"

namespace moesim {

class PacedServer {
 public:
  struct Client {
    void* object = nullptr;
    void (*done)(void* object, uint64_t job) = nullptr;
  };

  PacedServer(Simulator& sim, Client client);
  PacedServer(const PacedServer&) = delete;  // pending events point to it
  PacedServer& operator=(const PacedServer&) = delete;

  // Length at pace 1.
  void submit(uint64_t job, Duration length);

  // From now on; 2 does twice as much in the time. Above 0.
  void set_pace(double pace);

  bool idle() const;
  Duration backlog() const;  // time to be done with all jobs at the present pace
  Duration busy() const;     // time in which it had a job, until now

 private:
  struct Job {
    uint64_t job = 0;
    Duration length;
  };

  double done_by_now() const;
  Time due() const;
  void post();
  void finish_next();

  Simulator& sim_;
  Client client_;
  std::deque<Job> jobs_;  // the first one runs
  Duration length_;       // of all jobs
  double pace_ = 1;
  Time since_;              // pace_ has held since then, or the server has been busy since then, whichever is later
  double done_ = 0;         // of the first job at that time, in picoseconds at pace 1
  Time posted_{INT64_MAX};  // the earliest event pending
  Time busy_since_;
  Duration busy_;  // of the times before
};

}  // namespace moesim
