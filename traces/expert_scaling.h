// From the experts, choices and layers of a recorded trace to other numbers of them.
#pragma once

#include <cstdint>
#include <vector>

#include "traces/synthetic.h"

namespace moesim {

// Fewer layers are the first ones. Beyond the recorded layers it goes back and forth through the deeper three quarters
// of them, so that layers that follow each other are neighbours in the recording too, and each of these layers numbers
// its experts anew. More experts: each recorded one is split into equal or nearly equal numbers, and a token's id says
// which of them it goes to. Fewer experts: those that are neighbours by load become one.
class ExpertScaling {
 public:
  ExpertScaling(const RoutingTrace& recorded, RoutingShape wanted, uint64_t seed);

  bool keeps_experts() const { return keeps_experts_; }  // in recorded layers each expert is itself
  int64_t source_layer(int64_t layer) const { return source_layers_[size_t(layer)]; }
  bool repeats(int64_t layer) const { return layer >= recorded_layers_; }

  // `key` is the same for tokens that shall go to the same part of a split expert.
  uint16_t expert(int64_t layer, uint16_t recorded, uint32_t key) const;

 private:
  void map_layer(const std::vector<int64_t>& load, int64_t layer, uint64_t seed);

  int64_t recorded_layers_ = 0;
  int64_t recorded_experts_ = 0;
  bool keeps_experts_ = false;
  RoutingShape wanted_;
  std::vector<int64_t> source_layers_;
  std::vector<uint16_t> first_part_;  // [layer][recorded expert], into numbers_ of the layer
  std::vector<uint16_t> parts_;       // [layer][recorded expert]
  std::vector<uint16_t> numbers_;     // [layer][part]
};

}  // namespace moesim
