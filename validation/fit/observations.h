// The measured times that a fit is judged by, and what a profile predicts for all of them at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/device_profile.h"
#include "models/devices.h"
#include "validation/fit/fit_parts.h"
#include "validation/measurements.h"
#include "validation/prediction.h"

namespace moesim {

// predict() of prediction.h, or a test's stand-in. It is called from several threads at once.
using Predictor = std::function<std::vector<Predicted>(const PredictionModel&, const Measurement&)>;

// One time of one record.
struct Observation {
  size_t record = 0;  // into Observations::records
  size_t part = 0;    // into the parts
  std::string phase;
  double measured_us = 0;
  double noise = 0;  // the residual's unit

  // Noisier times help the fit where nothing better is, and say nothing of how good it is.
  bool is_judged() const { return noise <= 0.1; }
};

// A record with those of its times alone that are observed: no phase is predicted in vain.
struct ObservedRecord {
  const MeasurementFile* file = nullptr;
  Measurement measurement;
};

struct Observations {
  std::vector<ObservedRecord> records;
  std::vector<Observation> times;  // those of a record lie together
  size_t dropped = 0;              // times whose own spread is too large (error_table.h)
  size_t without_model = 0;        // times that some part wants and the predictor has no answer to
};

// The times that some part speaks of and `predictor` can predict with this profile.
Observations observe(const std::vector<MeasurementFile>& files, const std::vector<FitPart>& parts,
                     const DeviceProfile& profile, const GpuSpec& gpu, const Predictor& predictor);

// Those times alone that `wanted` says.
Observations some_of(const Observations& all, const std::function<bool(const Observation&)>& wanted);

// Predicted microseconds [profile][time]. `unchanged(p, r)` may say that record r is predicted by profile p as by
// profile 0, which saves asking. Threads share the records; each answer has a place of its own.
std::vector<std::vector<double>> predicted_us(const Observations& observations, std::span<const DeviceProfile> profiles,
                                              const GpuSpec& gpu, const Predictor& predictor,
                                              const std::function<bool(size_t, size_t)>& unchanged = {});

}  // namespace moesim
