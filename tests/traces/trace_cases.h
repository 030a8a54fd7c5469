// Traces and files for the tests of this layer.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/error.h"
#include "sim/core/random.h"
#include "traces/routing_trace.h"

namespace moesim {

// A path in the folder for temporary files, free at first and removed at last.
struct TemporaryPath {
  explicit TemporaryPath(const std::string& name)
      : path(testing::TempDir() + "moesim-" + std::to_string(getpid()) + "-" + name) {
    std::filesystem::remove_all(path);
  }
  ~TemporaryPath() { std::filesystem::remove_all(path); }
  std::string path;
};

inline std::string bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// What ConfigError says, or "" if nothing was thrown.
template <class Work>
std::string error_of(Work work) {
  try {
    work();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// Whether an error's text holds those words.
inline testing::AssertionResult says(const std::string& text, const std::string& words) {
  if (text.find(words) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << text << "\" does not say \"" << words << "\"";
}

inline RoutingTrace empty_trace(int64_t tokens, int64_t layers, int64_t top_k, int64_t experts) {
  RoutingTrace trace;
  trace.tokens = tokens;
  trace.layers = layers;
  trace.top_k = top_k;
  trace.experts = experts;
  trace.ids.assign(size_t(tokens * layers * top_k), kDropped);
  return trace;
}

// Any valid trace with everything that a file can hold, about one choice in eight dropped where `drops`.
inline RoutingTrace random_trace(Rng& rng, int64_t experts, bool drops) {
  RoutingTrace trace = empty_trace(rng.between(1, 40), rng.between(1, 5), rng.between(1, 4), experts);
  std::vector<uint16_t> order(size_t(experts), 0);
  std::iota(order.begin(), order.end(), uint16_t{0});
  for (int64_t choice = 0; choice < trace.tokens * trace.layers; ++choice) {
    rng.shuffle(std::span(order));
    for (int64_t k = 0; k < trace.top_k; ++k)
      if (!drops || rng.below(8) > 0) trace.ids[size_t(choice * trace.top_k + k)] = order[size_t(k)];
  }
  for (size_t i = 0; i < trace.ids.size(); ++i) trace.gate.push_back(float(rng.uniform()));
  trace.domains = {"cxx", "日本語"};
  for (const auto& column : columns(trace))
    for (int64_t i = 0; i < trace.tokens; ++i) column.values->push_back(int32_t(rng.below(2)));
  for (int64_t layer = 0; layer < trace.layers; ++layer) trace.layer_numbers.push_back(int32_t(layer + 3));
  trace.model = "a model";
  trace.source = "a source";
  trace.recorded = "by a hook on the gate";
  trace.zero_experts = 2;
  return trace;
}

inline void expect_same_arrays(const RoutingTrace& a, const RoutingTrace& b) {
  EXPECT_EQ(std::tie(a.tokens, a.layers, a.top_k, a.experts, a.zero_experts),
            std::tie(b.tokens, b.layers, b.top_k, b.experts, b.zero_experts));
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.gate, b.gate);
  for (size_t i = 0; i < kTraceColumns; ++i)
    EXPECT_EQ(*columns(a)[i].values, *columns(b)[i].values) << columns(a)[i].name;
}

}  // namespace moesim
