// Records that no fit may see, by what the user says: "models=qwen3-30b-a3b,mixtral-8x7b", "every=5".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/measurements.h"

namespace moesim {

struct HoldOut {
  std::vector<std::string> models;  // layers and steps of these
  int64_t every = 0;                // one in so many sizes, drawn by their hash; 0: none

  bool holds(const Measurement& measurement) const;
  bool is_empty() const { return models.empty() && every == 0; }
};

// "" holds out nothing. A ConfigError says what is wrong.
HoldOut parse_hold_out(const std::string& text);

// A model that no record is of is a ConfigError, with what may have been meant.
void check_hold_out(const HoldOut& hold_out, const std::vector<MeasurementFile>& files);

}  // namespace moesim
