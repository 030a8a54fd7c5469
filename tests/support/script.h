// Things that happen to a simulation at given times.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "sim/core/simulator.h"

namespace moesim {

class Script {
 public:
  explicit Script(Simulator& sim) : sim_(sim) {}
  Script(const Script&) = delete;  // pending events point to it
  Script& operator=(const Script&) = delete;

  void at(Duration since_start, std::function<void()> act) {
    acts_.push_back(std::move(act));
    sim_.at<&Script::act>(Time{} + since_start, *this, acts_.size() - 1);
  }

 private:
  void act(uint64_t number) { acts_[number](); }

  Simulator& sim_;
  std::vector<std::function<void()>> acts_;
};

}  // namespace moesim
