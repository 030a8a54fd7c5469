// From files of measurements to a device profile that says of each part what it rests on and how far off it was.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/device_profile.h"
#include "models/devices.h"
#include "sim/config/fields.h"
#include "validation/fit/hold_out.h"
#include "validation/fit/observations.h"

namespace moesim {

struct CalibrationInput {
  std::vector<MeasurementFile> files;  // all of one GPU
  DeviceProfile base;  // starts, and what is not measured; name, gpu, stack as the result shall have them
  GpuSpec gpu;
  HoldOut hold_out;
  size_t folds = 4;  // of the cross-validation; 0 or hold_out: none
};

struct PartRow {
  std::string part;
  int64_t parameters = 0;
  ErrorSummary fit;
  std::optional<ErrorSummary> held_out;
};

template <class Visitor>
void fields(Visitor& v, PartRow& s) {
  v.required("part", s.part, "of the profile, or layers and steps, which speak of several");
  v.required("parameters", s.parameters, at_least<int64_t>(0), "numbers that were fitted");
  v.required("fit", s.fit, "errors on the records of the fit");
  v.optional("held_out", s.held_out, "errors on records that the fit has not seen");
}

struct CalibrationReport {
  std::string profile;
  std::vector<PartRow> parts;
  int64_t dropped = 0;
  int64_t noisy = 0;
  int64_t without_model = 0;
  std::vector<std::string> warnings;
};

template <class Visitor>
void fields(Visitor& v, CalibrationReport& s) {
  v.required("profile", s.profile, "name of the profile");
  v.required("parts", s.parts, "residuals by part");
  v.required("dropped", s.dropped, at_least<int64_t>(0), "times left out, as their own spread is too large");
  v.required("noisy", s.noisy, at_least<int64_t>(0),
             "times of small eager work, used by the fit and counted in no error: the host's share is over a tenth");
  v.required("without_model", s.without_model, at_least<int64_t>(0), "times that no model predicts");
  v.required("warnings", s.warnings, "where data are thin, or a formula fits badly");
}

struct Calibration {
  DeviceProfile profile;
  CalibrationReport report;
};

// How many times calibrate() will call `tick`.
size_t calibration_ticks(const CalibrationInput& input);

Calibration calibrate(const CalibrationInput& input, const Predictor& predictor, const std::function<void()>& tick);

std::string calibration_text(const CalibrationReport& report);

}  // namespace moesim
