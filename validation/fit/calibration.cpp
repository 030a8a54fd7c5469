#include "validation/fit/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "validation/error_table.h"
#include "validation/fit/corrections.h"
#include "validation/fit/profile_fit.h"
#include "validation/fit/profile_path.h"
#include "validation/fit/record_sizes.h"

namespace moesim {
namespace {

constexpr int64_t kRecordsPerParameter = 3;
constexpr double kRangeMin = 4;

// The fold of each model and size: a model lies in one fold, with all its layers and steps.
class Folds {
 public:
  Folds(const std::vector<MeasurementFile>& files, size_t count) : count_(count) {
    std::set<std::string> models;
    for (const MeasurementFile& file : files)
      for (const Measurement& measurement : file.records)
        if (const std::string model = model_of(measurement); !model.empty()) models.insert(model);
    for (const std::string& model : models) fold_of_model_.emplace(model, fold_of_model_.size() % count);
  }
  size_t of(const Measurement& measurement) const {
    const auto place = fold_of_model_.find(model_of(measurement));
    return place == fold_of_model_.end() ? fold_of(size_key(measurement), count_) : place->second;
  }

 private:
  size_t count_;
  std::map<std::string, size_t> fold_of_model_;
};

using Errors = std::vector<std::vector<double>>;  // [part], signed

void add_errors(const DeviceProfile& profile, const Observations& observations, const FitContext& context,
                Errors& errors) {
  const auto us = predicted_us(observations, std::span(&profile, 1), context.gpu, context.predictor);
  for (size_t t = 0; t < observations.times.size(); ++t)
    if (observations.times[t].is_judged())
      errors[observations.times[t].part].push_back(us.front()[t] / observations.times[t].measured_us - 1);
}

const Measurement& measurement_of(const Observations& observations, const Observation& time) {
  return observations.records[time.record].measurement;
}

Errors cross_validate(const CalibrationInput& input, const DeviceProfile& start, const Observations& seen,
                      const FitContext& context) {
  Errors errors(context.parts.size());
  const Folds folds(input.files, std::max<size_t>(1, input.folds));
  for (size_t fold = 0; fold < input.folds; ++fold) {
    const auto is_in = [&](const Observation& time) { return folds.of(measurement_of(seen, time)) == fold; };
    const Observations others = some_of(seen, [&](const Observation& time) { return !is_in(time); });
    FittedProfile fitted = fit_profile(start, others, context);
    add_corrections(fitted.profile, others, context);
    add_errors(fitted.profile, some_of(seen, is_in), context, errors);
  }
  return errors;
}

std::vector<const Measurement*> measurements_of(const Observations& observations, size_t part) {
  std::vector<const Measurement*> measurements;
  for (const Observation& time : observations.times)
    if (time.part == part) measurements.push_back(&measurement_of(observations, time));
  return measurements;
}

// "h100x1.json, h100x2.json: gemm_bf16, moe_layer experts".
std::string source_of(const Observations& observations, size_t part) {
  std::vector<std::string> files;
  std::vector<std::string> kinds;
  const auto add = [](std::vector<std::string>& list, const std::string& text) {
    if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
  };
  for (const Observation& time : observations.times) {
    if (time.part != part) continue;
    const ObservedRecord& record = observations.records[time.record];
    add(files, record.file->source);
    add(kinds, record.measurement.kind + (time.phase == "all" ? "" : " " + time.phase));
  }
  return fmt::format("{}: {}", fmt::join(files, ", "), fmt::join(kinds, ", "));
}

std::vector<std::string> warnings_of(const FitPart& part, const Observations& seen, size_t index,
                                     const ErrorSummary& judged, const std::set<std::string>& undetermined) {
  std::vector<std::string> warnings;
  const auto measurements = measurements_of(seen, index);
  int64_t determined = 0;
  std::vector<std::string> idle;
  for (const FitParameter& parameter : part.parameters) {
    if (undetermined.count(parameter.path) > 0)
      idle.push_back(parameter.path);
    else
      ++determined;
  }
  if (!idle.empty()) warnings.push_back(fmt::format("no record tells {}: kept as they were", fmt::join(idle, ", ")));
  if (measurements.empty()) return warnings;
  if (int64_t(measurements.size()) < kRecordsPerParameter * determined)
    warnings.push_back(fmt::format("thin: {} records for {} parameters", measurements.size(), determined));
  const double widest = widest_range(measurements);
  if (determined > 0 && widest < kRangeMin)
    warnings.push_back(fmt::format("narrow: no size varies by more than {:.1f}", widest));
  if (judged.n > 0 && judged.median > kFormulaErrorMax)
    warnings.push_back(fmt::format("the formula fits badly: median error {:.1f} %", 100 * judged.median));
  return warnings;
}

struct Summary {
  const Observations& seen;
  const Errors& fit;
  const Errors& held_out;
  const std::set<std::string>& undetermined;
};

void add_part(const FitPart& part, size_t index, const Summary& summary, Calibration& out) {
  const bool is_measured = !measurements_of(summary.seen, index).empty();
  if (!is_measured && part.parameters.empty()) return;
  ProfilePart row;
  row.part = part.name;
  row.form = part.form;
  row.fit = error_summary(summary.fit[index]);
  if (!summary.held_out[index].empty()) row.held_out = error_summary(summary.held_out[index]);
  int64_t parameters = 0;
  for (const FitParameter& parameter : part.parameters)  // those of a copy that nobody measured do not exist
    parameters += profile_value(out.profile, parameter.path) && summary.undetermined.count(parameter.path) == 0;
  auto warnings = warnings_of(part, summary.seen, index, row.held_out.value_or(row.fit), summary.undetermined);
  if (part.name == "kernels/gemm" && !out.profile.kernels.gemm.corrections.empty())
    warnings.push_back(
        fmt::format("falls back on a table of {} corrections by work", out.profile.kernels.gemm.corrections.size()));
  for (const std::string& warning : warnings) out.report.warnings.push_back(part.name + ": " + warning);
  row.note = fmt::format("{}", fmt::join(warnings, "; "));
  row.range = sizes_text(measurements_of(summary.seen, index));
  row.source = is_measured      ? source_of(summary.seen, index)
               : parameters > 0 ? "layers and steps, jointly with the other parts"
                                : "not measured: as in the profile that the fit began with";
  if (is_measured) out.report.parts.push_back({part.name, parameters, row.fit, row.held_out});
  if (is_measured || parameters > 0) out.profile.parts.push_back(std::move(row));
}

}  // namespace

size_t calibration_ticks(const CalibrationInput& input) {
  const size_t fits = input.hold_out.is_empty() ? 1 + input.folds : 1;
  return fits * (fit_parts(input.base, input.gpu).size() + 1);
}

Calibration calibrate(const CalibrationInput& input, const Predictor& predictor, const std::function<void()>& tick) {
  DeviceProfile start = input.base;
  prepare_profile(start, input.gpu, input.files);
  const std::vector<FitPart> parts = fit_parts(start, input.gpu);
  const FitContext context{parts, input.gpu, predictor, tick};
  const Observations all = observe(input.files, parts, start, input.gpu, predictor);
  const auto is_held = [&](const Observation& time) { return input.hold_out.holds(measurement_of(all, time)); };
  const Observations seen = some_of(all, [&](const Observation& time) { return !is_held(time); });
  const FittedProfile fitted = fit_profile(start, seen, context);

  Calibration out;
  out.profile = fitted.profile;
  out.profile.parts.clear();
  round_parameters(out.profile, parts);
  add_corrections(out.profile, seen, context);
  Errors fit(parts.size());
  add_errors(out.profile, seen, context, fit);
  Errors held_out(parts.size());
  if (!input.hold_out.is_empty())
    add_errors(out.profile, some_of(all, is_held), context, held_out);
  else
    held_out = cross_validate(input, start, seen, context);
  out.report.profile = out.profile.name;
  out.report.dropped = int64_t(all.dropped);
  out.report.noisy =
      std::count_if(all.times.begin(), all.times.end(), [](const Observation& time) { return !time.is_judged(); });
  out.report.without_model = int64_t(all.without_model);
  const std::set<std::string> undetermined(fitted.undetermined.begin(), fitted.undetermined.end());
  const Summary summary{seen, fit, held_out, undetermined};
  for (size_t p = 0; p < parts.size(); ++p) add_part(parts[p], p, summary, out);
  return out;
}

std::string calibration_text(const CalibrationReport& report) {
  const auto errors = [](const ErrorSummary& s) {
    if (s.n == 0) return fmt::format("{:>5} {:>7} {:>6} {:>6} {:>6}", "-", "-", "-", "-", "-");
    return fmt::format("{:>5} {:>7.1f} {:>6.1f} {:>6.1f} {:>+6.1f}", s.n, 100 * s.median, 100 * s.p90, 100 * s.worst,
                       100 * s.bias);
  };
  std::string text =
      fmt::format("{:<26} {:>10}  {:<34}  {}\n", report.profile, "", "in the fit, error in %", "held out");
  text += fmt::format("{:<26} {:>10}  {:>5} {:>7} {:>6} {:>6} {:>6}  {:>5} {:>7} {:>6} {:>6} {:>6}\n", "part",
                      "parameters", "n", "median", "p90", "worst", "bias", "n", "median", "p90", "worst", "bias");
  for (const PartRow& row : report.parts)
    text += fmt::format("{:<26} {:>10}  {}  {}\n", row.part, row.parameters, errors(row.fit),
                        errors(row.held_out.value_or(ErrorSummary{})));
  text += fmt::format(
      "{} times left out, as their own spread is too large; {} in no error, as the host's share is over a "
      "tenth; {} that no model predicts\n",
      report.dropped, report.noisy, report.without_model);
  for (const std::string& warning : report.warnings) text += "warning: " + warning + "\n";
  return text;
}

}  // namespace moesim
