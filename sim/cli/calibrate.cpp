#include <fmt/format.h>

#include <filesystem>

#include "models/catalogue.h"
#include "sim/cli/command.h"
#include "sim/cli/progress_bar.h"
#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "validation/fit/calibration.h"
#include "validation/fit/other_hosts.h"
#include "validation/fit/sanity.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("output,o", po::value<std::string>(), "write the profile there")(
      "name", po::value<std::string>(), "name of the profile (default: GPU/stack of the base profile, or the file's)")(
      "gpu", po::value<std::string>(), "GPU of the catalogue that was measured (default: the files' device)")(
      "stack", po::value<std::string>(), "the software that was measured, in words (default: as the files say)")(
      "base", po::value<std::string>(), "profile to start from; what is not measured stays as it is there")(
      "hold-out", po::value<std::string>()->default_value(""),
      "keep records from the fit and report errors on them, instead of cross-validation: models=NAME,NAME or every=N")(
      "other-host", po::value<std::string>()->default_value(""),
      "files (FILE,FILE) of another machine with this GPU: what its host decides says little of this profile's")(
      "folds", po::value<int>()->default_value(4), "parts of the cross-validation; 0: none")(
      "scale-to", po::value<std::string>(), "write the profile for this GPU instead, scaled by the data sheets")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json");
  return options;
}

std::string text_of(const po::variables_map& given, const char* option, const std::string& fallback) {
  return given.count(option) > 0 ? given[option].as<std::string>() : fallback;
}

// All faults of all files, not of the first alone.
std::vector<MeasurementFile> read_all(const std::vector<std::string>& paths) {
  std::vector<MeasurementFile> files;
  std::vector<Fault> faults;
  for (const std::string& path : paths) try {
      files.push_back(read_measurements(path));
    } catch (const ConfigError& error) {
      if (paths.size() == 1) throw;
      add_faults_of(error, faults);
    }
  throw_if_any("measurements", std::move(faults));
  return files;
}

std::string gpu_of(const std::vector<MeasurementFile>& files, const std::string& asked) {
  if (!asked.empty()) return asked;
  for (const MeasurementFile& file : files) {
    if (file.gpu.empty())
      throw ConfigError(file.source, fmt::format("moesim knows no {}; --gpu says which GPU of the catalogue it is",
                                                 in_quotes(file.device)));
    if (file.gpu != files.front().gpu)
      throw ConfigError(file.source, fmt::format("is of {}, but {} is of {}: a profile is of one GPU", file.gpu,
                                                 files.front().source, files.front().gpu));
  }
  return files.front().gpu;
}

void check_files(const std::vector<MeasurementFile>& files, const GpuSpec& gpu) {
  std::vector<Fault> faults;
  for (const MeasurementFile& file : files)
    for (Fault& fault : check_measurements(file, gpu)) {
      fault.source = file.source;
      faults.push_back(std::move(fault));
    }
  throw_if_any("measurements", std::move(faults));
}

// Who made it from what, without folders: the same files give the same bytes wherever they lie.
std::string command_text(const po::variables_map& given, const std::vector<MeasurementFile>& files) {
  std::string text = "moesim calibrate";
  for (const MeasurementFile& file : files) text += " " + file.source;
  for (const char* option : {"base", "gpu", "hold-out", "name", "other-host", "stack"}) {
    const std::string value = text_of(given, option, "");
    if (value.empty()) continue;
    const bool is_path = std::string(option) == "base" && value.ends_with(".json");
    const std::string shown = is_path ? std::filesystem::path(value).filename().string() : value;
    text += " --" + std::string(option) + " " + (shown.find(' ') == std::string::npos ? shown : "\"" + shown + "\"");
  }
  if (given["hold-out"].as<std::string>().empty()) text += fmt::format(" --folds {}", given["folds"].as<int>());
  return text;
}

CalibrationInput input_of(const po::variables_map& given, std::vector<MeasurementFile> files) {
  CalibrationInput input;
  const std::string gpu = gpu_of(files, text_of(given, "gpu", ""));
  input.gpu = load_gpu(gpu);
  check_files(files, input.gpu);
  const bool has_base = given.count("base") > 0;
  if (has_base) input.base = scaled_profile(load_profile(given["base"].as<std::string>()), gpu);
  const std::string stack_name = files.front().format;  // "pytorch", "moesim-bench"
  input.base.gpu = gpu;
  input.base.name = text_of(given, "name", gpu + "/" + stack_name);
  input.base.stack = text_of(given, "stack", files.front().software);
  input.base.machine = files.front().device;
  input.base.command = command_text(given, files);
  mark_other_hosts(given["other-host"].as<std::string>(), files);
  input.base.scaled_from.clear();
  input.hold_out = parse_hold_out(given["hold-out"].as<std::string>());
  check_hold_out(input.hold_out, files);
  const int folds = given["folds"].as<int>();
  if (folds < 0 || folds == 1 || folds > 100)
    throw ConfigError("--folds", fmt::format("must be 0, or from 2 to 100, but is {}", folds));
  input.folds = size_t(folds);
  input.files = std::move(files);
  return input;
}

Calibration calibrate_with_bar(const CalibrationInput& input) {
  std::vector<Progress> progress(1);
  progress[0].tasks_total = int64_t(calibration_ticks(input));
  const ProgressBar bar(progress);
  return calibrate(input, predict, [&] { ++progress[0].tasks_done; });
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  if (given.count("output") == 0) throw ConfigError("--output", "say where to write the profile: -o PROFILE.json");
  const std::string other = text_of(given, "scale-to", "");
  if (!other.empty()) load_gpu(other);  // a wrong name is reported before the fit
  const CalibrationInput input = input_of(given, read_all(positional));
  Calibration calibration = calibrate_with_bar(input);
  fmt::print("{}", json ? json_text(calibration.report) : calibration_text(calibration.report));
  const std::vector<Fault> faults = check_profile(calibration.profile, input.gpu);
  if (!faults.empty()) {
    fmt::print(stderr, "{}\nno profile was written\n", ConfigError(calibration.profile.name, faults).what());
    return kInternalError;
  }
  if (!other.empty()) calibration.profile = scaled_profile(calibration.profile, other);
  write_file_atomically(given["output"].as<std::string>(), json_text(calibration.profile));
  return kOk;
}

}  // namespace

const Command kCalibrateCommand = {
    "calibrate",
    "MEASURED...",
    "Fit a device profile to measurements, and say how far off it is",
    "  moesim calibrate raw.json -o profile.json\n"
    "  moesim calibrate one.json two.json -o profile.json --name h100-sxm-80/mine --hold-out models=mixtral-8x7b\n"
    "  moesim calibrate raw.json -o h200.json --scale-to h200-sxm-141\n",
    options,
    1,
    1024,
    run};

}  // namespace moesim
