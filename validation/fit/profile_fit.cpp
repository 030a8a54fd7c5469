#include "validation/fit/profile_fit.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "validation/fit/least_squares.h"
#include "validation/fit/profile_path.h"

namespace moesim {
namespace {

// When a fit stops: FitOptions.
struct FitEffort {
  int iterations_max = 0;
  double gain_min = 0;
};
// Of a part, of an alternative (enough to tell which is best), and of all parts together.
constexpr FitEffort kPart{30, 1e-6};
constexpr FitEffort kAlternative{6, 1e-3};
constexpr FitEffort kJoint{15, 1e-4};

std::vector<double> log_ratios(const Observations& observations, const std::vector<double>& us) {
  std::vector<double> residuals;
  for (size_t t = 0; t < us.size(); ++t) {
    const Observation& time = observations.times[t];
    residuals.push_back(exact_log(us[t] / time.measured_us) / time.noise);
  }
  return residuals;
}

// Residuals of a set of parameters. It learns which records depend on which parameter, since most depend on few.
class ParameterResiduals {
 public:
  ParameterResiduals(const DeviceProfile& start, const std::vector<FitParameter>& parameters,
                     const Observations& observations, const FitContext& context)
      : start_(start),
        parameters_(parameters),
        observations_(observations),
        context_(context),
        depends_(parameters.size(), std::vector<bool>(observations.records.size(), true)) {}

  DeviceProfile profile_at(const std::vector<double>& values) const {
    DeviceProfile profile = start_;
    for (size_t i = 0; i < values.size(); ++i) set_parameter(profile, parameters_[i], values[i]);
    return profile;
  }

  // One point is where the fit stands or tries to step; several are its derivatives, one parameter each, around the
  // last point that stood alone.
  std::vector<std::vector<double>> operator()(const std::vector<std::vector<double>>& points) {
    std::vector<DeviceProfile> profiles;
    const bool is_derivative = points.size() > 1;
    if (!is_derivative) at_ = points.front();
    if (is_derivative) profiles.push_back(profile_at(at_));
    for (const auto& point : points) profiles.push_back(profile_at(point));
    const auto unchanged = [&](size_t p, size_t record) { return is_derivative && !depends_[p - 1][record]; };
    const auto us = predicted_us(observations_, profiles, context_.gpu, context_.predictor, unchanged);
    if (is_derivative) learn(us);
    std::vector<std::vector<double>> residuals;
    for (size_t p = is_derivative ? 1 : 0; p < us.size(); ++p) residuals.push_back(log_ratios(observations_, us[p]));
    return residuals;
  }

 private:
  void learn(const std::vector<std::vector<double>>& us) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      std::vector<bool> depends(observations_.records.size(), false);
      for (size_t t = 0; t < observations_.times.size(); ++t)
        if (us[i + 1][t] != us[0][t]) depends[observations_.times[t].record] = true;
      depends_[i] = depends;
    }
  }

  const DeviceProfile& start_;
  const std::vector<FitParameter>& parameters_;
  const Observations& observations_;
  const FitContext& context_;
  std::vector<std::vector<bool>> depends_;  // [parameter][record]
  std::vector<double> at_;
};

std::vector<FitVariable> variables_of(const DeviceProfile& profile, const std::vector<FitParameter>& parameters) {
  std::vector<FitVariable> variables;
  for (const FitParameter& parameter : parameters) {
    const ValueRange range = profile_range(parameter.path);
    FitVariable variable;
    variable.low = std::max(parameter.low, range.low);
    variable.high = std::min(parameter.high, range.high);
    variable.start = *profile_value(profile, parameter.path);
    // What is none yet starts in the middle: near zero no derivative would show.
    if (variable.start < variable.low) variable.start = std::sqrt(variable.low * variable.high);
    variable.start = std::min(variable.start, variable.high);
    variables.push_back(variable);
  }
  return variables;
}

struct Outcome {
  DeviceProfile profile;
  double loss = 0;
  std::vector<std::string> undetermined;
};

// A parameter that no time depends on stays as it was, not at the bound that its start may lie beyond.
Outcome fit_numbers(const DeviceProfile& start, const std::vector<FitParameter>& all, const Observations& observations,
                    const FitContext& context, const FitEffort& effort) {
  std::vector<FitParameter> parameters;
  for (const FitParameter& parameter : all)
    if (profile_value(start, parameter.path)) parameters.push_back(parameter);
  ParameterResiduals residuals(start, parameters, observations, context);
  FitOptions options;
  options.iterations_max = effort.iterations_max;
  options.gain_min = effort.gain_min;
  options.scale_min = 0.05;  // of the expected noise
  options.pull = 0.5;
  const std::vector<FitVariable> variables = variables_of(start, parameters);
  const FitResult fit = fit_least_squares(variables, std::ref(residuals), options);
  Outcome outcome{start, fit.loss, {}};
  for (size_t i = 0; i < parameters.size(); ++i)
    if (fit.is_determined[i])
      set_parameter(outcome.profile, parameters[i], fit.values[i]);
    else
      outcome.undetermined.push_back(parameters[i].path);
  return outcome;
}

DeviceProfile fit_choices(const DeviceProfile& start, const FitPart& part, const Observations& observations,
                          const FitContext& context) {
  DeviceProfile best = start;
  for (const std::vector<Alternative>& alternatives : part.choices) {
    double best_loss = 1e300;
    DeviceProfile best_here = best;
    for (const Alternative& alternative : alternatives) {
      DeviceProfile tried = best;
      alternative.apply(tried);
      tried = fit_numbers(tried, part.parameters, observations, context, kAlternative).profile;
      const double loss = loss_of(tried, observations, context);
      if (loss >= best_loss) continue;
      best_loss = loss;
      best_here = tried;
    }
    best = best_here;
  }
  return best;
}

}  // namespace

double loss_of(const DeviceProfile& profile, const Observations& observations, const FitContext& context) {
  const auto us = predicted_us(observations, std::span(&profile, 1), context.gpu, context.predictor);
  return huber_loss(log_ratios(observations, us.front()), 1.0);
}

FittedProfile fit_profile(const DeviceProfile& start, const Observations& observations, const FitContext& context) {
  DeviceProfile profile = start;
  std::vector<FitParameter> all;
  for (size_t p = 0; p < context.parts.size(); ++p) {
    const FitPart& part = context.parts[p];
    all.insert(all.end(), part.parameters.begin(), part.parameters.end());
    const Observations own = some_of(observations, [p](const Observation& time) { return time.part == p; });
    if (!own.times.empty() && !part.parameters.empty()) {
      profile = fit_choices(profile, part, own, context);
      profile = fit_numbers(profile, part.parameters, own, context, kPart).profile;
    }
    context.tick();
  }
  const Outcome joint = fit_numbers(profile, all, observations, context, kJoint);
  context.tick();
  return {joint.profile, joint.undetermined};
}

void round_parameters(DeviceProfile& profile, const std::vector<FitPart>& parts) {
  for (const FitPart& part : parts)
    for (const FitParameter& parameter : part.parameters)
      if (const auto value = profile_value(profile, parameter.path)) {
        set_parameter(profile, parameter, rounded(*value));
        for (const TiedValue& tied : parameter.tied)
          set_profile_value(profile, tied.path, rounded(*profile_value(profile, tied.path)));
      }
}

}  // namespace moesim
