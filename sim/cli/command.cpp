#include "sim/cli/command.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include "sim/config/error.h"

namespace moesim {

std::vector<std::string> values_of(const po::variables_map& given, const char* option) {
  if (given.count(option) == 0) return {};
  return given[option].as<std::vector<std::string>>();
}

bool wants_json(const po::variables_map& given) {
  const std::string format = given["format"].as<std::string>();
  if (format != "text" && format != "json")
    throw ConfigError("--format", fmt::format("must be text or json, but is \"{}\"", format));
  return format == "json";
}

std::vector<std::string> settings_of(const po::variables_map& given) {
  std::vector<std::string> settings = values_of(given, "set");
  if (given.count("seed") > 0) settings.push_back("/seed=" + given["seed"].as<std::string>());
  return settings;
}

void print_stats(double seconds, int64_t events) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds_of = [](const timeval& time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  const double cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  fmt::print(stderr, "host: {:.3f} s, CPU {:.3f} s, {} events, {:.2f} million events/s, peak memory {:.0f} MiB\n",
             seconds, cpu, events, double(events) / seconds / 1e6, double(usage.ru_maxrss) / 1024);
}

}  // namespace moesim
