#include "validation/fit/observations.h"

#include <algorithm>
#include <map>
#include <thread>

#include "sim/core/check.h"
#include "sim/core/parallel.h"
#include "validation/error_table.h"

namespace moesim {
namespace {

size_t processors() { return std::max(1u, std::thread::hardware_concurrency()); }

// The answer for a phase; 0 where there is none.
double us_of(const std::vector<Predicted>& predicted, const std::string& phase) {
  for (const Predicted& each : predicted)
    if (each.phase == phase) return each.us;
  return 0;
}

// Appends the record without any time yet.
void append_record(const MeasurementFile* file, const Measurement& measurement, Observations& out) {
  out.records.push_back({file, measurement});
  out.records.back().measurement.times.clear();
}

void append_time(const Observation& time, const Measurement& from, Observations& out) {
  out.times.push_back(time);
  out.times.back().record = out.records.size() - 1;
  for (const PhaseTime& phase : from.times)
    if (phase.phase == time.phase) out.records.back().measurement.times.push_back(phase);
}

struct FileRecord {
  const MeasurementFile* file = nullptr;
  const Measurement* measurement = nullptr;
};

// Where another machine's host decides, it says little of this one. Its GPU is alike: graph replays and long kernels
// count as they are.
constexpr double kOtherHostNoise_us = 100;

double noise_of_host(const FileRecord& record, const PhaseTime& time) {
  if (!record.file->is_other_host) return 0;
  const bool is_graph = record.measurement->launch == Launch::graph && time.phase != "eager";
  return is_graph || time.phase == "graph" ? 0 : kOtherHostNoise_us / time.median_us;
}

void observe_record(const FileRecord& record, const std::vector<FitPart>& parts,
                    const std::vector<Predicted>& predicted, Observations& out) {
  bool is_new = true;
  for (const PhaseTime& time : record.measurement->times)
    for (size_t part = 0; part < parts.size(); ++part) {
      const double noise = parts[part].noise(*record.measurement, time.phase);
      if (noise == 0) continue;
      if (!reason_to_drop(*record.measurement, time).empty()) {
        ++out.dropped;
      } else if (us_of(predicted, time.phase) <= 0) {
        ++out.without_model;
      } else {
        if (is_new) append_record(record.file, *record.measurement, out);
        is_new = false;
        append_time({0, part, time.phase, time.median_us, noise + noise_of_host(record, time)}, *record.measurement,
                    out);
      }
    }
}

}  // namespace

Observations observe(const std::vector<MeasurementFile>& files, const std::vector<FitPart>& parts,
                     const DeviceProfile& profile, const GpuSpec& gpu, const Predictor& predictor) {
  std::vector<FileRecord> records;
  for (const MeasurementFile& file : files)
    for (const Measurement& measurement : file.records) records.push_back({&file, &measurement});
  std::vector<std::vector<Predicted>> predicted(records.size());
  for_all(records.size(), processors(),
          [&](size_t r) { predicted[r] = predictor({profile, gpu, records[r].file->world}, *records[r].measurement); });
  Observations out;
  for (size_t r = 0; r < records.size(); ++r) observe_record(records[r], parts, predicted[r], out);
  return out;
}

Observations some_of(const Observations& all, const std::function<bool(const Observation&)>& wanted) {
  Observations some;
  size_t last = all.records.size();  // none yet
  for (const Observation& time : all.times) {
    if (!wanted(time)) continue;
    const ObservedRecord& record = all.records[time.record];
    if (time.record != last) append_record(record.file, record.measurement, some);
    last = time.record;
    append_time(time, record.measurement, some);
  }
  return some;
}

std::vector<std::vector<double>> predicted_us(const Observations& observations, std::span<const DeviceProfile> profiles,
                                              const GpuSpec& gpu, const Predictor& predictor,
                                              const std::function<bool(size_t, size_t)>& unchanged) {
  const size_t records = observations.records.size();
  std::vector<std::map<int32_t, PredictionModel>> models(profiles.size());  // by the file's world
  for (size_t p = 0; p < profiles.size(); ++p)
    for (const ObservedRecord& record : observations.records)
      models[p].try_emplace(record.file->world, PredictionModel{profiles[p], gpu, record.file->world});
  std::vector<std::vector<size_t>> times_of(records);
  for (size_t t = 0; t < observations.times.size(); ++t) times_of[observations.times[t].record].push_back(t);
  std::vector<std::vector<double>> us(profiles.size(), std::vector<double>(observations.times.size()));
  const auto is_unchanged = [&](size_t p, size_t r) { return p > 0 && unchanged && unchanged(p, r); };
  for_all(profiles.size() * records, processors(), [&](size_t job) {
    const size_t p = job / records;
    const size_t r = job % records;
    if (is_unchanged(p, r)) return;
    const ObservedRecord& record = observations.records[r];
    const auto predicted = predictor(models[p].at(record.file->world), record.measurement);
    for (const size_t t : times_of[r]) {
      us[p][t] = us_of(predicted, observations.times[t].phase);
      CHECK(us[p][t] > 0);
    }
  });
  for (size_t p = 1; p < profiles.size(); ++p)
    for (size_t r = 0; r < records; ++r)
      if (is_unchanged(p, r))
        for (const size_t t : times_of[r]) us[p][t] = us[0][t];
  return us;
}

}  // namespace moesim
