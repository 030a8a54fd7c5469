// What is written reads back the same and satisfies the schema; what is read satisfies the schema too.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <regex>

#include "sim/config/docs.h"
#include "sim/config/reader.h"
#include "sim/config/schema.h"
#include "sim/config/writer.h"
#include "tests/sim/config/every_kind.h"

namespace moesim {
namespace {

using every_kind::EveryKind;
using every_kind::Inner;
using every_kind::SamplePolicy;
using every_kind::SlackOptions;

Inner random_inner(Rng& rng) {
  const auto low = int32_t(rng.below(1000));
  return {low, low + int32_t(rng.below(1000))};
}

std::string random_text(Rng& rng) {
  constexpr const char* kPieces[] = {"a", "/", "~", "\"", "\\", "\n", "\u00e9", " ", "$schema", "policy"};
  std::string text;
  for (uint64_t piece = rng.below(4); piece > 0; --piece) text += kPieces[rng.below(std::size(kPieces))];
  return text;
}

double random_positive(Rng& rng) {
  const double value = std::bit_cast<double>(rng.next() >> 1);
  return std::isnormal(value) ? value : 1;
}

PolicyChoice<SamplePolicy> random_policy(Rng& rng) {
  if (rng.below(2) == 0) return PolicyChoice<SamplePolicy>("zero");
  return PolicyChoice<SamplePolicy>("greedy", SlackOptions{int32_t(rng.below(10)), {int64_t(rng.next() >> 20)}});
}

EveryKind random_settings(Rng& rng) {
  EveryKind s;
  s.name = random_text(rng);
  s.hbm = {random_positive(rng)};
  s.gpu = rng.below(2) == 0 ? "a100" : "h200";
  s.flag = rng.below(2) == 0;
  s.i32 = int32_t(rng.next());
  s.i64 = int64_t(rng.next());
  s.u64 = rng.next();
  s.real = rng.uniform();
  s.launch = {int64_t(rng.next() >> 1)};
  s.memory = {1 + int64_t(rng.next() >> rng.between(2, 60))};
  s.speed = {random_positive(rng)};
  s.precision = every_kind::Precision(rng.below(2));
  s.inner = random_inner(rng);
  s.policy = random_policy(rng);
  if (rng.below(2) == 0) s.cap = Rate{random_positive(rng)};
  if (rng.below(2) == 0) s.maybe = random_inner(rng);
  for (uint64_t i = rng.below(3); i > 0; --i) s.inners.push_back(random_inner(rng));
  for (uint64_t i = rng.below(3); i > 0; --i) s.reals.push_back(random_positive(rng));
  for (uint64_t i = rng.below(3); i > 0; --i) s.policies.push_back(random_policy(rng));
  for (uint64_t i = rng.below(3); i > 0; --i) s.sizes[random_text(rng)] = {1 + int64_t(rng.next() >> 2)};
  for (uint64_t i = rng.below(3); i > 0; --i) s.lists[random_text(rng)] = {rng.between(-5, 5)};
  return s;
}

bool has_type(const OrderedJson& json, const std::string& type) {
  if (type == "integer")
    return json.is_number_integer() || (json.is_number() && json == std::trunc(json.get<double>()));
  if (type == "number") return json.is_number();
  return json.type_name() == type;
}

bool matches(const std::string& text, const std::string& pattern) {
  static std::map<std::string, std::regex> compiled;  // compiling is most of the time of these tests
  return std::regex_search(text, compiled.try_emplace(pattern, pattern).first->second);
}

// Checks the few words of JSON Schema that our schemas use.
bool satisfies(const OrderedJson& json, const OrderedJson& schema) {
  const auto count = [&](const char* word) {
    size_t satisfied = 0;
    for (const auto& choice : schema[word]) satisfied += satisfies(json, choice) ? 1 : 0;
    return satisfied;
  };
  if (schema.contains("type") && !has_type(json, schema["type"])) return false;
  if (schema.contains("const") && json != schema["const"]) return false;
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), json) == schema["enum"].end())
    return false;
  if (schema.contains("anyOf") && count("anyOf") == 0) return false;
  if (schema.contains("oneOf") && count("oneOf") != 1) return false;
  if (schema.contains("pattern") && !matches(json, schema["pattern"])) return false;
  if (schema.contains("minimum") && json < schema["minimum"]) return false;
  if (schema.contains("exclusiveMinimum") && json <= schema["exclusiveMinimum"]) return false;
  if (schema.contains("maximum") && json > schema["maximum"]) return false;
  if (schema.contains("items"))
    for (const auto& item : json)
      if (!satisfies(item, schema["items"])) return false;
  if (schema.contains("required"))
    for (const auto& key : schema["required"])
      if (!json.contains(key.get<std::string>())) return false;
  if (!json.is_object() || !schema.contains("additionalProperties")) return true;
  const OrderedJson none = OrderedJson::object();
  const OrderedJson& properties = schema.contains("properties") ? schema["properties"] : none;
  for (const auto& [key, value] : json.items()) {
    const OrderedJson& rule = properties.contains(key) ? properties[key] : schema["additionalProperties"];
    if (rule == false || !satisfies(value, rule)) return false;
  }
  return true;
}

EveryKind read(const OrderedJson& json) { return read_struct<EveryKind>(parse_json(json_text(json), "a"), "a"); }

TEST(RoundTrip, WhatIsWrittenReadsBackTheSameAndSatisfiesTheSchema) {
  const OrderedJson schema = json_schema<EveryKind>("every kind");
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const EveryKind settings = random_settings(rng);
    const OrderedJson json = to_json(settings);
    EXPECT_EQ(read(json), settings) << json_text(json);
    EXPECT_TRUE(satisfies(json, schema)) << json_text(json);
  }
}

// Puts a random value at a random place of a valid file. The reader may refuse more than the schema does (ranges of
// quantities, what check_fields() says), and never less.
TEST(RoundTrip, WhatTheReaderTakesTheSchemaTakes) {
  const OrderedJson schema = json_schema<EveryKind>("every kind");
  const auto values = OrderedJson::parse(
      R"([0, 1, -1, 2.0, 0.5, 1e3, 3000000000, "", "h100", "fp8", "zero", "greedy", "5 us", "5 GB", "5 Gb/s", "1 Tflop/s", null,
          true, [], [1], ["zero"], {}, {"low": 1}, {"policy": "greedy"}, {"policy": "zero", "slack": 1}, {"slack": 1}])");
  size_t accepted = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    OrderedJson json = to_json(random_settings(rng));
    const auto member = std::next(json.begin(), std::ptrdiff_t(rng.below(json.size())));
    const OrderedJson& value = values[rng.below(values.size())];
    if (member->is_structured() && !member->empty() && rng.below(2) == 0)
      *(member->begin()) = value;
    else if (rng.below(10) == 0)
      json.erase(member);
    else
      *member = value;
    try {
      read(json);
    } catch (const ConfigError&) {
      continue;
    }
    ++accepted;
    EXPECT_TRUE(satisfies(json, schema)) << json_text(json);
  }
  EXPECT_GT(accepted, 100u);  // else the test would say nothing
}

TEST(Schema, RefusesWhatTheReaderRefuses) {
  const OrderedJson schema = json_schema<EveryKind>("every kind");
  const auto good = [] { return OrderedJson{{"name", "n"}, {"hbm", "1 GB/s"}}; };
  EXPECT_TRUE(satisfies(good(), schema));
  for (const char* member :
       {R"({"hbm": 5})", R"({"hbm": "5 GB"})", R"({"gpu": "x"})", R"({"real": 2})", R"({"i32": 0.5})",
        R"({"precision": "x"})", R"({"typo": 1})", R"({"policy": "x"})", R"({"policy": {"slack": 1}})",
        R"({"policy": {"policy": "zero", "slack": 1}})", R"({"inners": [{"lo": 1}]})", R"({"lists": {"a": [6]}})"}) {
    OrderedJson json = good();
    json.update(OrderedJson::parse(member));
    EXPECT_FALSE(satisfies(json, schema)) << member;
    EXPECT_THROW(read(json), ConfigError) << member;
  }
}

TEST(Schema, StatesDialectTitleDefaultsAndDescriptions) {
  const OrderedJson schema = json_schema<EveryKind>("every kind");
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(schema["title"], "every kind");
  EXPECT_EQ(schema["required"], OrderedJson::array({"name", "hbm"}));
  const OrderedJson& memory = schema["properties"]["memory"];
  EXPECT_EQ(memory["default"], "80 GiB");
  EXPECT_EQ(memory["description"], "a size (above 0 B)");
  EXPECT_EQ(memory["examples"], OrderedJson::array({"80 GiB", "80 GB"}));
  EXPECT_FALSE(schema["properties"]["hbm"].contains("default"));
}

TEST(Markdown, HasARowForEachSettingAndASectionForEachStructAndPolicy) {
  const std::string text = markdown<EveryKind>("Every kind");
  for (const char* line :
       {"# Every kind\n", "| `name` | string |  | required | any string |\n",
        "| `hbm` | rate | above 0 B/s | required | memory bandwidth |\n",
        "| `gpu` | string | `a100`, `h100`, `h200` | `\"h100\"` | out of a list |\n",
        "| `real` | number | between 0 and 1 | `0.5` | a fraction |\n",
        "| `precision` | `bf16`, `fp8` |  | `\"fp8\"` | an enum |\n", "| `inner` | object |  | as below | a struct |\n",
        "| `cap` | rate or null | above 0 B/s | `null` | a rate or none |\n",
        "| `lists` | object of list of whole number by name | between -5 and 5 | `{}` | lists by name |\n",
        "## `/inner`\n", "## `/inners/*`\n", "## `/policy`: sample policy `greedy`\n\nall | of it.\n",
        "## `/policy`: sample policy `zero`\n\nnothing. It has no options.\n",
        "| `slack` | whole number | between 0 and 9 | `2` | slots left free |\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

}  // namespace
}  // namespace moesim
