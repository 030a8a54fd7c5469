#include "validation/fit/hold_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <charconv>
#include <set>

#include "sim/config/error.h"
#include "sim/config/suggest.h"
#include "validation/fit/record_sizes.h"

namespace moesim {
namespace {

constexpr const char* kOption = "--hold-out";

int64_t parse_every(const std::string& text) {
  int64_t every = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), every);
  if (error != std::errc{} || end != text.data() + text.size() || every < 2 || every > 1000)
    throw ConfigError(kOption, fmt::format("every must be a whole number from 2 to 1000, but is {}", in_quotes(text)));
  return every;
}

}  // namespace

bool HoldOut::holds(const Measurement& measurement) const {
  const std::string model = model_of(measurement);
  if (!model.empty() && std::find(models.begin(), models.end(), model) != models.end()) return true;
  return every > 0 && fold_of(size_key(measurement), size_t(every)) == 0;
}

HoldOut parse_hold_out(const std::string& text) {
  HoldOut hold_out;
  if (text.empty()) return hold_out;
  const std::string key = text.substr(0, text.find('='));
  const std::string value = key.size() == text.size() ? "" : text.substr(key.size() + 1);
  if (value.empty() || (key != "models" && key != "every"))
    throw ConfigError(kOption, fmt::format("must be models=NAME,NAME or every=N, but is {}", in_quotes(text)));
  if (key == "models")
    boost::split(hold_out.models, value, boost::is_any_of(","));
  else
    hold_out.every = parse_every(value);
  return hold_out;
}

void check_hold_out(const HoldOut& hold_out, const std::vector<MeasurementFile>& files) {
  std::set<std::string> known;
  for (const MeasurementFile& file : files)
    for (const Measurement& measurement : file.records) known.insert(model_of(measurement));
  for (const std::string& model : hold_out.models)
    if (known.count(model) == 0 || model.empty())
      throw ConfigError(kOption, fmt::format("no record is of model {}{}", in_quotes(model),
                                             suggestion(model, {known.begin(), known.end()})));
}

}  // namespace moesim
