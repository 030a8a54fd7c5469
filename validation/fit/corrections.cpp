#include "validation/fit/corrections.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "validation/error_table.h"
#include "validation/fit/profile_fit.h"
#include "validation/fit/profile_path.h"

namespace moesim {
namespace {

constexpr size_t kRecordsPerEntry = 6;
constexpr size_t kEntriesMax = 10;

struct Ratio {
  double work = 0;
  double factor = 0;  // measured over predicted
};

std::vector<Ratio> ratios_of(const DeviceProfile& profile, const Observations& gemms, const FitContext& context) {
  const auto us = predicted_us(gemms, std::span(&profile, 1), context.gpu, context.predictor);
  std::vector<Ratio> ratios;
  for (size_t t = 0; t < gemms.times.size(); ++t) {
    const auto& gemm = std::get<GemmRecord>(gemms.records[gemms.times[t].record].measurement.what);
    const double work = double(gemm.m) * double(gemm.n) * double(gemm.k);
    ratios.push_back({work, gemms.times[t].measured_us / us.front()[t]});
  }
  return ratios;
}

// Medians of equally many records each, in order of work. Entries of the same work would have no slope between them.
std::vector<WorkCorrection> table_of(std::vector<Ratio> ratios) {
  std::stable_sort(ratios.begin(), ratios.end(), [](const Ratio& a, const Ratio& b) { return a.work < b.work; });
  const size_t entries = std::min(kEntriesMax, ratios.size() / kRecordsPerEntry);
  std::vector<WorkCorrection> table;
  for (size_t e = 0; e < entries; ++e) {
    std::vector<double> work;
    std::vector<double> factors;
    for (size_t i = ratios.size() * e / entries; i < ratios.size() * (e + 1) / entries; ++i) {
      work.push_back(ratios[i].work);
      factors.push_back(ratios[i].factor);
    }
    const WorkCorrection entry{rounded(median(work)), rounded(std::clamp(median(factors), 0.1, 10.0))};
    if (table.empty() || entry.work > table.back().work) table.push_back(entry);
  }
  return table;
}

}  // namespace

void add_corrections(DeviceProfile& profile, const Observations& observations, const FitContext& context) {
  const Observations gemms = some_of(observations, [&](const Observation& time) {
    const auto& what = observations.records[time.record].measurement.what;
    return time.is_judged() && std::holds_alternative<GemmRecord>(what);
  });
  std::vector<Ratio> ratios = ratios_of(profile, gemms, context);
  std::vector<double> errors;
  for (const Ratio& ratio : ratios) errors.push_back(std::abs(1 / ratio.factor - 1));
  if (errors.empty() || median(errors) <= kFormulaErrorMax) return;
  std::vector<WorkCorrection> table = table_of(std::move(ratios));
  if (table.size() < 2) return;
  DeviceProfile corrected = profile;
  corrected.kernels.gemm.corrections = std::move(table);
  // Layers and steps hold GEMMs too: what helps those alone, and harms these, is the launch's doing and not the GEMM's.
  if (loss_of(corrected, observations, context) < loss_of(profile, observations, context)) profile = corrected;
}

}  // namespace moesim
