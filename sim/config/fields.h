// How a struct of settings says what it holds. One function names each member once:
//
//   template <class Visitor>
//   void fields(Visitor& v, GpuSpec& s) {
//     v.required("name", s.name, "as in models/gpus/<name>.json");
//     v.required("hbm", s.hbm, above(Rate{0}), "HBM read bandwidth");
//     v.optional("kernel_launch", s.kernel_launch, at_least(Duration{}), "fixed cost of one kernel");
//   }
//
// and the same function reads it from JSON, checks it, writes the resolved scenario, the JSON Schema and the docs.
// The default of an optional setting is the value its member has in a default-constructed struct.
//
// Members may be: bool, int32_t, int64_t, uint64_t, double, std::string, Duration, Bytes, Rate, FlopRate, Percentage,
// an enum with enum_names(), a struct with fields(), PolicyChoice<Kind> (registry.h), std::optional, std::vector (a
// range holds for each element) and std::map<std::string, T> of those. Numbers and quantities must give a range. What
// one range cannot say goes into an optional function found beside fields():
//   void check_fields(const GpuSpec& s, const std::function<void(std::string key, std::string message)>& fault);
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace moesim {

// The values a setting may take; without an end it has no limit there.
template <class T>
struct Range {
  std::optional<T> low;
  std::optional<T> high;
  bool low_is_open = false;
};

template <class T>
Range<T> above(T low) {
  return {low, {}, true};
}
template <class T>
Range<T> at_least(T low) {
  return {low, {}, false};
}
template <class T>
Range<T> between(T low, T high) {
  return {low, high, false};
}

// A string out of a list, such as the names of a catalogue; others are answered with "did you mean".
struct OneOf {
  std::vector<std::string> names;
};

inline OneOf one_of(std::vector<std::string> names) { return {std::move(names)}; }

// An enum is read and written by name. Beside each enum stands
//   constexpr auto enum_names(Precision) {
//     return std::to_array<std::pair<Precision, const char*>>({{Precision::bf16, "bf16"}, {Precision::fp8, "fp8"}});
//   }

// The options of a policy that has none.
struct NoOptions {};
template <class Visitor>
void fields(Visitor&, NoOptions&) {}

}  // namespace moesim
