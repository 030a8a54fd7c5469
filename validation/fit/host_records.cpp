#include "validation/fit/host_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>

#include "sim/config/error.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

constexpr const char* kOption = "--host";

bool is_of_host(const Measurement& measurement) {
  return std::holds_alternative<OffloadRecord>(measurement.what) ||
         std::holds_alternative<CpuExpertRecord>(measurement.what);
}

void check_names(const std::vector<std::string>& names, const std::vector<MeasurementFile>& files) {
  std::vector<std::string> sources;
  for (const MeasurementFile& file : files) sources.push_back(file.source);
  for (const std::string& name : names)
    if (std::find(sources.begin(), sources.end(), name) == sources.end())
      throw ConfigError(kOption, fmt::format("no file is called {}{}", in_quotes(name), suggestion(name, sources)));
}

}  // namespace

void keep_host_records(const std::string& names, std::vector<MeasurementFile>& files) {
  if (names.empty()) return;
  std::vector<std::string> kept;
  boost::split(kept, names, boost::is_any_of(","));
  check_names(kept, files);
  for (MeasurementFile& file : files)
    if (std::find(kept.begin(), kept.end(), file.source) == kept.end()) std::erase_if(file.records, is_of_host);
}

}  // namespace moesim
