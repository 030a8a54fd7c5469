// Predictions against measurements: record by record, and as a table of errors by kind, phase and size.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "validation/prediction.h"

namespace moesim {

// One phase of one record. What is dropped says why, and counts in no error.
struct Comparison {
  std::string file;
  int64_t record = 0;  // its number in the file, from 0
  std::string kind;    // as in the file; "_graph" is added to what ran in a CUDA graph
  std::string phase;   // as in the file
  std::string size;    // "small" below 1,024 tokens a rank, "large" from there, "all" where there are none
  std::string what;    // model and sizes, for people
  double measured_us = 0;
  double predicted_us = 0;
  std::string dropped;  // empty: it counts
  std::string bytes{};  // of a collective that could count: "over 32 MB", or "64 KB to 32 MB" where it is in a graph

  double error() const { return predicted_us / measured_us - 1; }
};

struct ErrorRow {
  std::string kind;
  std::string phase;
  std::string size;
  int64_t n = 0;
  int64_t dropped = 0;
  double median = 0;  // these four are 0 where n is 0
  double p90 = 0;
  double worst = 0;
  double bias = 0;
};

template <class Visitor>
void fields(Visitor& v, ErrorRow& s) {
  v.required("kind", s.kind, "of the records");
  v.required("phase", s.phase, "of each record, `all` where it has one time");
  v.required("size", s.size, "small: below 1,024 tokens a rank; large: from there; all: there are none");
  v.required("n", s.n, at_least<int64_t>(0), "records that count");
  v.required("dropped", s.dropped, at_least<int64_t>(0), "records left out, as their own spread is too large");
  v.required("median", s.median, at_least(0.0), "median absolute relative error, as a fraction");
  v.required("p90", s.p90, at_least(0.0), "90th percentile of it");
  v.required("worst", s.worst, at_least(0.0), "the largest");
  v.required("bias", s.bias, at_least(-1.0), "median of the signed errors; above 0: predicted too long");
}

struct ErrorTable {
  std::vector<ErrorRow> errors;
};

template <class Visitor>
void fields(Visitor& v, ErrorTable& s) {
  v.required("errors", s.errors, "by kind, phase and size");
}

struct ErrorTableBeside {
  std::vector<ErrorRow> errors;
  std::vector<ErrorRow> beside;
};

template <class Visitor>
void fields(Visitor& v, ErrorTableBeside& s) {
  v.required("errors", s.errors, "by kind, phase and size");
  v.required("beside", s.beside, "the same of another machine's times taken for these");
}

// Why a phase of a measurement is left out, or "": the rules of docs/validation.md.
std::string reason_to_drop(const Measurement& measurement, const PhaseTime& time);

// What a file takes against what the profile says. Kinds and phases that no model predicts are counted by name.
struct FileComparison {
  std::vector<Comparison> compared;
  std::map<std::string, int64_t> not_predicted;
};
FileComparison compare(const PredictionModel& model, const MeasurementFile& file);

// The value below which that fraction of the values lies, interpolated between the two nearest; 0 of none.
double quantile(std::vector<double> values, double fraction);

// Of signed relative errors.
ErrorSummary error_summary(const std::vector<double>& errors);

ErrorTable error_table(std::span<const Comparison> compared);

// The times of another machine in the place of predictions: of the same kind, phase and work, in the order of the
// files. What it did not measure is left out.
std::vector<Comparison> taken_for(std::span<const Comparison> compared, std::span<const Comparison> other_machine);

// Collectives once more, by bytes: all kinds together as "collectives", then each. `size` is Comparison::bytes. The
// report shows these rows; the JSON has those of error_table() alone, whose sizes programs know.
std::vector<ErrorRow> collective_rows(std::span<const Comparison> compared);

// Rows as those of the table, without a head.
std::string beside_text(const ErrorTable& beside);

std::string error_table_text(const ErrorTable& table, std::span<const Comparison> compared,
                             const std::map<std::string, int64_t>& not_predicted);

// file,record,kind,phase,size,what,measured_us,predicted_us,error,dropped
std::string comparison_csv(std::span<const Comparison> compared);

}  // namespace moesim
