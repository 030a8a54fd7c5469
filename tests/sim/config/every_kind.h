// A struct with a setting of every kind, for the tests and the fuzzer of the configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/registry.h"

namespace moesim::every_kind {

struct SampleInput {
  int32_t tokens = 0;
};

struct SamplePolicy {
  static constexpr const char* kind = "sample policy";
  using Input = SampleInput;
  using Decision = int32_t;
};

struct SlackOptions {
  int32_t slack = 2;
  Duration delay = {5};
};

template <class Visitor>
void fields(Visitor& v, SlackOptions& s) {
  v.optional("slack", s.slack, between(0, 9), "slots left free");
  v.optional("delay", s.delay, at_least(Duration{}), "wait before it");
}

inline int32_t sample_greedy(const SampleInput& in, const SlackOptions& options, Rng&) {
  return in.tokens + options.slack;
}
inline int32_t sample_zero(const SampleInput&, const NoOptions&, Rng&) { return 0; }

inline const bool registered_zero = Registry<SamplePolicy>::instance().add("zero", "nothing", sample_zero);
inline const bool registered_greedy = Registry<SamplePolicy>::instance().add("greedy", "all | of it", sample_greedy);

enum class Precision { bf16, fp8 };

constexpr auto enum_names(Precision) {
  return std::to_array<std::pair<Precision, const char*>>({{Precision::bf16, "bf16"}, {Precision::fp8, "fp8"}});
}

struct Inner {
  int32_t low = 1;
  int32_t high = 2;
  friend bool operator==(const Inner&, const Inner&) = default;
};

template <class Visitor>
void fields(Visitor& v, Inner& s) {
  v.optional("low", s.low, at_least(0), "the lower end");
  v.optional("high", s.high, at_least(0), "the upper end");
}

inline void check_fields(const Inner& s, const std::function<void(std::string, std::string)>& fault) {
  if (s.low > s.high) fault("low", "must not be above high");
}

struct EveryKind {
  std::string name;
  Rate hbm;
  std::string gpu = "h100";
  bool flag = false;
  int32_t i32 = -3;
  int64_t i64 = 5;
  uint64_t u64 = 7;
  double real = 0.5;
  Duration launch = {2'000'000};
  Bytes memory = {int64_t{80} << 30};
  FlopRate speed = {989e12};
  Percentage tolerance = {0.01};
  Precision precision = Precision::fp8;
  Inner inner;
  PolicyChoice<SamplePolicy> policy{"greedy"};
  std::optional<Rate> cap;
  std::optional<Inner> maybe;
  std::vector<Inner> inners;
  std::vector<double> reals = {0.25};
  std::vector<PolicyChoice<SamplePolicy>> policies;
  std::map<std::string, Bytes> sizes;
  std::map<std::string, std::vector<int64_t>> lists;
  friend bool operator==(const EveryKind&, const EveryKind&) = default;
};

template <class Visitor>
void fields(Visitor& v, EveryKind& s) {
  v.required("name", s.name, "any string");
  v.required("hbm", s.hbm, above(Rate{0}), "memory bandwidth");
  v.optional("gpu", s.gpu, one_of({"a100", "h100", "h200"}), "out of a list");
  v.optional("flag", s.flag, "a switch");
  v.optional("i32", s.i32, at_least(INT32_MIN), "a whole number");
  v.optional("i64", s.i64, at_least(INT64_MIN), "a larger one");
  v.optional("u64", s.u64, at_least(0), "one without a sign");
  v.optional("real", s.real, between(0, 1), "a fraction");
  v.optional("launch", s.launch, at_least(Duration{}), "a duration");
  v.optional("memory", s.memory, above(Bytes{0}), "a size");
  v.optional("speed", s.speed, above(FlopRate{0}), "operations a second");
  v.optional("tolerance", s.tolerance, between(Percentage{0}, Percentage{1}), "how far off it may be");
  v.optional("precision", s.precision, "an enum");
  v.optional("inner", s.inner, "a struct");
  v.optional("policy", s.policy, "a policy");
  v.optional("cap", s.cap, above(Rate{0}), "a rate or none");
  v.optional("maybe", s.maybe, "a struct or none");
  v.optional("inners", s.inners, "structs");
  v.optional("reals", s.reals, at_least(0), "numbers");
  v.optional("policies", s.policies, "policies");
  v.optional("sizes", s.sizes, above(Bytes{0}), "sizes by name");
  v.optional("lists", s.lists, between(-5, 5), "lists by name");
}

}  // namespace moesim::every_kind
