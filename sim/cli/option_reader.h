// Reads the options of a command, and collects what is wrong with them.
#pragma once

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/command.h"
#include "sim/config/error.h"
#include "sim/config/suggest.h"

namespace moesim {

constexpr int64_t kSeedMax = 9'007'199'254'740'992;  // what JSON holds exactly

class OptionReader {
 public:
  explicit OptionReader(const po::variables_map& given) : given_(given) {}

  bool has(const char* option) const { return given_.count(option) > 0; }

  std::optional<std::string> text(const char* option) const {
    if (!has(option)) return {};
    return given_[option].as<std::string>();
  }

  // From 1 to `high`; 0 where it was not given.
  int64_t number(const char* option, int64_t high) { return number_between(option, 1, high, 0); }

  int64_t number_between(const char* option, int64_t low, int64_t high, int64_t otherwise) {
    return parsed<int64_t>(option, low, high, otherwise, "a whole number");
  }

  double decimal(const char* option, double low, double high, double otherwise) {
    return parsed<double>(option, low, high, otherwise, "a number");
  }

  void fault(const char* option, const std::string& message) {
    faults_.push_back({0, std::string("--") + option, message});
  }
  std::vector<Fault> faults() const { return faults_; }

 private:
  template <class T>
  T parsed(const char* option, T low, T high, T otherwise, const char* what) {
    const std::optional<std::string> given = text(option);
    if (!given) return otherwise;
    T value{};
    const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), value);
    if (error == std::errc() && end == given->data() + given->size() && value >= low && value <= high) return value;
    fault(option, fmt::format("must be {} between {} and {}, but is {}", what, low, high, in_quotes(*given)));
    return otherwise;
  }

  const po::variables_map& given_;
  std::vector<Fault> faults_;
};

}  // namespace moesim
