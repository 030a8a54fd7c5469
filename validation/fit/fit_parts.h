// What is fitted: the parts of a profile, each with its parameters and the measured times that speak of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/device_profile.h"
#include "models/devices.h"
#include "validation/measurements.h"

namespace moesim {

// Another value of the profile that is so many times a parameter, as data do not tell the two apart.
struct TiedValue {
  std::string path;
  double times = 1;
};

struct FitParameter {
  std::string path;  // profile_path.h
  double low = 0;    // above 0, where the profile's own range begins at 0
  double high = 0;
  bool is_rate = false;  // of which less than `low` is a fault; of a time it is merely nothing
  std::vector<TiedValue> tied{};
};

// And what is tied to it.
void set_parameter(DeviceProfile& profile, const FitParameter& parameter, double value);

// One way to set what is no number: a choice among tiles, a whole number with few sensible values.
struct Alternative {
  std::string text;
  std::function<void(DeviceProfile&)> apply;
};

struct FitPart {
  std::string name;  // of the profile's part, or "layers", "steps"
  std::string form;  // the formula in words
  std::vector<FitParameter> parameters;
  std::vector<std::vector<Alternative>> choices;  // each tried in turn, the others as they are
  // How much a time of this part is expected to be off when all is well: the residuals' unit. 0: it is of another part.
  std::function<double(const Measurement&, const std::string& phase)> noise;
};

// The parts that a calibration fits, in order: first those that others rest on. The lists (tiles, CPU threads) are
// those of the profile; prepare_profile() made them fit the files.
std::vector<FitPart> fit_parts(const DeviceProfile& profile, const GpuSpec& gpu);

// Gives the profile the members that the files speak of and it lacks: copies, the communication kernel's rate, an entry
// for each number of CPU threads.
void prepare_profile(DeviceProfile& profile, const GpuSpec& gpu, const std::vector<MeasurementFile>& files);

}  // namespace moesim
