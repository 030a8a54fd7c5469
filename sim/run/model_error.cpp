#include "sim/run/model_error.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr const char* kWholeSteps = "steps";

std::vector<std::string_view> parts_of(Operation operation) {
  switch (operation) {
    case Operation::attention:
      return {"kernels/gemm", "kernels/attention"};
    case Operation::gate:
      return {"kernels/gate"};
    case Operation::experts:
      return {"kernels/grouped_gemm"};
    case Operation::unpermute:
      return {"kernels/unpermute"};
    case Operation::shared:
    case Operation::dense:
    case Operation::lm_head:
      return {"kernels/gemm"};
    case Operation::tp:
    case Operation::dispatch:
    case Operation::combine:
    case Operation::migration:
    case Operation::coherence:
      return {"collectives"};
    case Operation::copy:
      return {"copies/host_to_device"};
    case Operation::predict:        // look-ups, which nobody has measured
    case Operation::cpu_attention:  // nor this
      return {};
  }
  return {};
}

Operation operation_of(const std::string& text) {
  constexpr auto names = enum_names(Operation{});
  const auto found = std::find_if(names.begin(), names.end(), [&](const auto& each) { return text == each.second; });
  CHECK(found != names.end());
  return found->first;
}

std::optional<double> part_error(const DeviceProfile& profile, std::string_view name) {
  for (const ProfilePart& part : profile.parts)
    if (part.part == name && part.held_out) return part.held_out->p90;
  return {};
}

}  // namespace

std::optional<double> operation_error(const DeviceProfile& profile, Operation operation) {
  std::optional<double> worst;
  for (const std::string_view part : parts_of(operation)) {
    const std::optional<double> error = part_error(profile, part);
    if (!error) return {};
    worst = std::max(worst.value_or(0), *error);
  }
  return worst;
}

std::optional<ModelErrorResult> model_error(const DeviceProfile& profile, const Results& results) {
  const std::optional<double> steps = part_error(profile, kWholeSteps);
  double squares = 0;
  double computing_s = 0;
  double known_s = 0;
  for (const OperationResult& row : results.breakdown) {
    const Operation operation = operation_of(row.operation);
    if (steps && !is_communication(operation) && !is_on_cpu(operation)) {
      computing_s += row.exposed_s;
      continue;
    }
    const std::optional<double> error = operation_error(profile, operation);
    if (!error) continue;
    known_s += row.exposed_s;
    squares += row.exposed_s * *error * row.exposed_s * *error;
  }
  known_s += computing_s;
  squares += computing_s * steps.value_or(0) * computing_s * steps.value_or(0);
  if (known_s == 0) return {};
  ModelErrorResult result;
  const double band_s = std::sqrt(squares);
  result.fraction = band_s / results.step_time_s;
  result.low_s = results.step_time_s - band_s;
  result.high_s = results.step_time_s + band_s;
  result.covers = std::min(1.0, known_s / results.step_time_s);
  return result;
}

bool is_within_model_error(const Results& a, const Results& b) {
  if (!a.model_error || !b.model_error) return false;
  const double wider_s = std::max(a.model_error->fraction * a.step_time_s, b.model_error->fraction * b.step_time_s);
  return std::abs(a.step_time_s - b.step_time_s) <= wider_s;
}

}  // namespace moesim
