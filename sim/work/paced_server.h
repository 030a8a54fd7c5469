// Does jobs one after another, at a pace that may change while they run: the cores of a CPU beside copies that take of
// the memory's bandwidth.
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
  // To be written.
  Simulator& sim_;
};

}  // namespace moesim
