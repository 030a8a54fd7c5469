#include "traces/trace_import.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <cstring>
#include <list>

#include "tests/traces/trace_cases.h"
#include "traces/npy.h"

namespace moesim {
namespace {

struct Array {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<int32_t> values;
};

// An .npz of int32 arrays, as numpy.savez writes one.
void write_arrays(const std::string& path, const std::vector<Array>& arrays) {
  std::list<std::string> contents;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const Array& array : arrays) {
    std::string& content = contents.emplace_back(npy_header(NpyType::i4, array.shape));
    content.append(reinterpret_cast<const char*>(array.values.data()), array.values.size() * 4);
    zip_file_add(zip, (array.name + ".npy").c_str(), zip_source_buffer(zip, content.data(), content.size(), 0), 0);
  }
  ASSERT_EQ(zip_close(zip), 0);
}

ImportedTrace import_file(const std::string& path, int64_t experts) {
  return import_trace(path, trace_format(path), experts);
}

TEST(Import, OfDocumentsMakesThemRequestsAndCountsPositions) {
  const TemporaryPath file("docs.npz");
  write_arrays(file.path, {{"ids", {4, 1, 2}, {0, 1, 1, 2, 2, 3, 3, 0}}, {"doc", {4}, {7, 7, 9, 7}}});
  const RoutingTrace trace = import_file(file.path, 4).trace;
  EXPECT_EQ(trace.request, (std::vector<int32_t>{7, 7, 9, 7}));
  EXPECT_EQ(trace.position, (std::vector<int32_t>{0, 1, 0, 2}));
  EXPECT_EQ(trace.experts, 4);
}

// Row 1 belongs to no request, row 2 holds zeros in both layers, as memory that was never written.
TEST(Import, DropsAndCountsWarmUpRows) {
  const TemporaryPath file("warm.npz");
  write_arrays(file.path,
               {{"ids", {4, 2, 2}, {0, 1, 2, 3, 1, 0, 3, 2, 0, 0, 0, 0, 3, 1, 0, 2}}, {"request", {4}, {0, -1, 0, 0}}});
  const ImportedTrace imported = import_file(file.path, 4);
  EXPECT_EQ(imported.warm_up_rows, 2);
  EXPECT_EQ(imported.trace.tokens, 2);
  EXPECT_EQ(imported.trace.ids, (std::vector<uint16_t>{0, 1, 2, 3, 3, 1, 0, 2}));
  write_arrays(file.path, {{"ids", {1, 1, 2}, {0, 0}}});
  EXPECT_TRUE(says(error_of([&] { import_file(file.path, 4); }), "holds no routing but warm-up rows"));
}

// The first of three layers has no experts and is recorded as zeros. Request "_a": two prompt tokens and one decoded.
TEST(Import, OfVllmJoinsPromptAndDecodeOfEachRequest) {
  const TemporaryPath file("vllm.npz");
  write_arrays(file.path, {{"routed_experts_a", {1, 3, 2}, {0, 0, 3, 1, 2, 0}},
                           {"prompt_routed_experts_a", {2, 3, 2}, {0, 0, 0, 1, 1, 0, 0, 0, 2, 1, 3, -1}},
                           {"routed_experts_b", {1, 3, 2}, {0, 0, 1, 2, 2, 3}}});
  const RoutingTrace trace = import_file(file.path, 4).trace;
  EXPECT_EQ(trace.layer_numbers, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(trace.request, (std::vector<int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(trace.position, (std::vector<int32_t>{0, 1, 2, 0}));
  EXPECT_EQ(trace.phase, (std::vector<int32_t>{0, 0, 1, 1}));
  EXPECT_EQ(trace.ids, (std::vector<uint16_t>{0, 1, 1, 0, 2, 1, 3, kDropped, 3, 1, 2, 0, 1, 2, 2, 3}));
}

// [layers, tokens, k] becomes [tokens, layers, k]; the second token is padding.
TEST(Import, OfSglangTurnsLayersAndTokens) {
  const TemporaryPath file("sglang.npz");
  write_arrays(file.path, {{"topk_ids_of_layer", {2, 3, 2}, {0, 1, -1, -1, 2, 3, 3, 2, -1, -1, 1, 0}},
                           {"input_ids", {3}, {50, 0, 51}}});
  const ImportedTrace imported = import_file(file.path, 4);
  EXPECT_EQ(imported.warm_up_rows, 1);
  EXPECT_EQ(imported.trace.ids, (std::vector<uint16_t>{0, 1, 3, 2, 2, 3, 1, 0}));
  EXPECT_EQ(imported.trace.token, (std::vector<int32_t>{50, 51}));
}

TEST(Import, OfLinesOfJsonTakesTokensAndPasses) {
  const TemporaryPath file("lines.jsonl");
  write_bytes(
      file.path,
      R"({"trace": {"experts": 4, "model": "a model"}})"
      "\n"
      R"({"experts": [[0, 1], [2, 3]], "step": 0, "request": 1, "phase": "prompt", "warmup": true})"
      "\n\n"
      R"({"experts": [[1, 0], [3, 2]], "step": 1, "request": 2, "phase": "decode", "gate": [[0.5, 0.25], [1, 0]]})"
      "\n"
      R"({"topk_ids_of_layer": [[[2, 3]], [[0, 1]]], "forward_pass_id": 2, "forward_mode": 1})"
      "\n");
  const ImportedTrace imported = import_file(file.path, 0);
  EXPECT_EQ(imported.warm_up_rows, 1);
  EXPECT_EQ(imported.trace.experts, 4);
  EXPECT_EQ(imported.trace.model, "a model");
  EXPECT_EQ(imported.trace.ids, (std::vector<uint16_t>{1, 0, 3, 2, 2, 3, 0, 1}));
  EXPECT_EQ(imported.trace.step, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(imported.trace.phase, (std::vector<int32_t>{1, 0}));
  EXPECT_TRUE(imported.trace.request.empty());  // not every row has one
  EXPECT_TRUE(imported.trace.gate.empty());
}

TEST(Import, OfLinesOfJsonNamesEveryLineThatIsWrong) {
  const TemporaryPath file("wrong.jsonl");
  write_bytes(file.path,
              "{\"experts\": [[0, 1]]}\n{oops\n{\"experts\": [[0]]}\n{\"experts\": [[0, 1], [0, 1]]}\n{\"experts\": "
              "[[0, 70000]]}\n{\"experts\": 5}\n{\"what\": 1}\n[1]\n{\"experts\": [[0, \"1\"]]}\n");
  const std::string error = error_of([&] { import_file(file.path, 0); });
  EXPECT_TRUE(says(error, "8 faults"));
  EXPECT_TRUE(says(error, "line 2: is no JSON"));
  EXPECT_TRUE(says(error, "line 3: a layer has 1 experts, but the first has 2"));
  EXPECT_TRUE(says(error, "line 5: 70000 is no expert"));
}

TEST(Import, RefusesArraysOfTheWrongShapeAllAtOnce) {
  const TemporaryPath file("shapes.npz");
  write_arrays(file.path, {{"routed_experts_a", {2, 2}, {0, 1, 2, 3}},
                           {"routed_experts_b", {1, 1, 2}, {0, 1}},
                           {"routed_experts_c", {1, 2, 2}, {0, 1, 2, 3}}});
  const std::string error = error_of([&] { import_file(file.path, 4); });
  EXPECT_TRUE(says(error, "/routed_experts_a: must have 3 dimensions, but has 2"));
  EXPECT_TRUE(says(error, "/routed_experts_c: has 2 layers and 2 choices, but an array before it has 1 and 2"));
  write_arrays(file.path, {{"ids", {1, 1, 2}, {0, 9}}});
  EXPECT_TRUE(says(error_of([&] { import_file(file.path, 4); }), "token 0, layer 0 chooses expert 9, but there are 4"));
}

// 2^31 choices claimed by a header of 128 bytes, and an array that ends early.
TEST(Import, BelievesNoHeader) {
  const TemporaryPath file("bomb.npz");
  write_arrays(file.path, {{"routed_experts", {1 << 20, 64, 32}, {0, 1}}});
  EXPECT_TRUE(says(error_of([&] { import_file(file.path, 4); }), "the array ends after 8 of"));
  write_arrays(file.path, {{"topk_ids_of_layer", {1 << 20, 1 << 10, 32}, {0, 1}}});
  EXPECT_TRUE(says(error_of([&] { import_file(file.path, 4); }), "is too large"));
  write_arrays(file.path, {{"routed_experts", {3, 0, 2}, {}}});
  EXPECT_TRUE(says(error_of([&] { import_file(file.path, 4); }), "has an extent of 0"));
}

TEST(Import, OfDamagedFilesIsASoundTraceOrAnError) {
  const TemporaryPath file("damaged");
  write_arrays(file.path, {{"prompt_routed_experts_a", {2, 2, 2}, {0, 1, 2, 3, 1, 0, 3, 2}}});
  const std::string npz = bytes_of_file(file.path);
  const std::string lines =
      "{\"trace\": {\"experts\": 4}}\n{\"experts\": [[0, 1], [2, 3]], \"step\": 0, \"phase\": \"decode\"}\n"
      "{\"topk_ids_of_layer\": [[[2, 3]], [[0, 1]]], \"input_ids\": [3]}\n";
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string bytes = seed % 2 == 0 ? npz : lines;
    for (uint64_t flips = 1 + rng.below(4); flips > 0; --flips)
      bytes[rng.below(bytes.size())] ^= char(1 << rng.below(8));
    if (rng.below(4) == 0) bytes.resize(rng.below(bytes.size()));
    for (const auto parse : {parse_vllm_rows, parse_sglang_rows, parse_jsonl_rows}) try {
        EXPECT_TRUE(
            check_trace(finish_import(parse(std::as_bytes(std::span(bytes)), "damaged"), "damaged", 0).trace).empty());
      } catch (const ConfigError&) {
      }
  }
}

TEST(Import, OfAForeignFileSaysSo) {
  const TemporaryPath file("foreign");
  write_bytes(file.path, "no routing");
  EXPECT_TRUE(says(error_of([&] { trace_format(file.path); }), "is no recorded routing"));
  write_arrays(file.path, {{"weights", {1}, {3}}});
  EXPECT_TRUE(says(error_of([&] { trace_format(file.path); }), "holds none of the arrays"));
}

}  // namespace
}  // namespace moesim
