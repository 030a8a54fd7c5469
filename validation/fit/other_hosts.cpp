#include "validation/fit/other_hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <filesystem>

#include "sim/config/error.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

constexpr const char* kOption = "--other-host";

bool is_of_host(const Measurement& measurement) {
  return std::holds_alternative<OffloadRecord>(measurement.what) ||
         std::holds_alternative<CpuExpertRecord>(measurement.what);
}

}  // namespace

void mark_other_hosts(const std::string& names, std::vector<MeasurementFile>& files) {
  if (names.empty()) return;
  std::vector<std::string> others;
  boost::split(others, names, boost::is_any_of(","));
  std::vector<std::string> sources;
  for (const MeasurementFile& file : files) sources.push_back(file.source);
  for (const std::string& name : others) {
    const auto place = std::find(sources.begin(), sources.end(), std::filesystem::path(name).filename().string());
    if (place == sources.end())
      throw ConfigError(kOption, fmt::format("no file is called {}{}", in_quotes(name), suggestion(name, sources)));
    MeasurementFile& file = files[size_t(place - sources.begin())];
    file.is_other_host = true;
    std::erase_if(file.records, is_of_host);
  }
}

}  // namespace moesim
