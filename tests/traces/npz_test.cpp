#include "traces/npz.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <list>
#include <stdexcept>

#include "tests/traces/trace_cases.h"
#include "traces/npy.h"
#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

template <class T>
std::string npy(NpyType type, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  return npy_header(type, shape) + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A .npz of the arrays, by name.
std::string npz_of(const std::vector<std::pair<std::string, std::string>>& arrays) {
  const TemporaryPath file("made.npz");
  int error = 0;
  zip_t* zip = zip_open(file.path.c_str(), ZIP_CREATE, &error);
  for (const auto& [name, content] : arrays)
    zip_file_add(zip, (name + ".npy").c_str(), zip_source_buffer(zip, content.data(), content.size(), 0), 0);
  EXPECT_EQ(zip_close(zip), 0);
  return bytes_of_file(file.path);
}

RoutingTrace parse(const std::string& bytes, const NpzSidecar& sidecar = {}) {
  return parse_npz_trace(std::as_bytes(std::span(bytes)), "trace.npz", sidecar);
}

std::string parse_error(const std::vector<std::pair<std::string, std::string>>& arrays) {
  return error_of([&] { parse(npz_of(arrays)); });
}

// Two tokens, one layer, top-2.
std::string two_tokens() { return npy<uint8_t>(NpyType::u1, {2, 1, 2}, {3, 1, 0, 9}); }

std::string npy_error(const std::string& bytes) {
  try {
    parse_npy_header(std::as_bytes(std::span(bytes)));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

NpyHeader parsed(const std::string& bytes) { return parse_npy_header(std::as_bytes(std::span(bytes))); }

// Version 1, whatever the text.
std::string with_header(const std::string& text) {
  return std::string("\x93NUMPY\x01\x00", 8) + char(text.size() & 0xFF) + char(text.size() >> 8) + text;
}

TEST(Npy, HeadersOfNumpyAreReadInAllVersions) {
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n";
  const NpyHeader first = parsed(with_header(text));
  EXPECT_EQ(first.type, NpyType::f4);
  EXPECT_EQ(first.shape, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(first.data_at, 10 + text.size());
  const std::string third = std::string("\x93NUMPY\x03\x00", 8) + char(text.size()) + std::string(3, '\0') + text;
  EXPECT_EQ(parsed(third).data_at, 12 + text.size());

  const std::string swapped = with_header("{\"shape\":(7,),\"fortran_order\":False,\"descr\":\"|u1\"}");
  EXPECT_EQ(parsed(swapped).shape, std::vector<int64_t>{7});
  const std::string single = with_header("{'descr': '<i8', 'fortran_order': False, 'shape': ()}");
  EXPECT_EQ(values_of(parsed(single)), 1);
}

TEST(Npy, HeadersThatAreWrittenAreReadAndEndAtAMultipleOf64Bytes) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {5}, {56832, 16, 8}, {1, 2, 3, 4, 5, 6, 7, 8}}) {
    const std::string header = npy_header(NpyType::u2, shape);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(parsed(header).shape, shape);
  }
}

TEST(Npy, SaysWhatItCannotRead) {
  const auto header = [](const std::string& descr, const std::string& fortran, const std::string& shape) {
    return with_header("{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + "}");
  };
  EXPECT_TRUE(says(npy_error(header("'>i4'", "False", "(2,)")), "type '>i4' is not one of"));
  EXPECT_TRUE(says(npy_error(header("'<c16'", "False", "(2,)")), "type '<c16'"));
  EXPECT_TRUE(says(npy_error(header("[('a', '<i4')]", "False", "(2,)")), "records"));
  EXPECT_TRUE(says(npy_error(header("'<i4'", "True", "(2, 3)")), "Fortran order"));
  EXPECT_TRUE(says(npy_error(header("'<i4'", "False", "(9999999999, 9999999999)")), "too large"));
  EXPECT_TRUE(says(npy_error(header("'<i4'", "False", "(-1,)")), "whole numbers"));
  EXPECT_TRUE(says(npy_error(header("'<i4'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)")), "dimensions"));
  EXPECT_TRUE(says(npy_error(with_header("{'descr': '<i4'}")), "lacks"));
  EXPECT_TRUE(says(npy_error("PK\x03\x04 and so on"), "no .npy"));
  EXPECT_TRUE(says(npy_error(std::string("\x93NUMPY\x04\x00", 8) + "abcdefgh"), "version is 4"));
  EXPECT_TRUE(says(npy_error(with_header("{'descr': '<i4'").substr(0, 15)), "ends within"));
}

TEST(Npz, GivesBackWhatWasWritten) {
  const TemporaryPath file("round.npz");
  for (const int64_t experts : {6, 255, 256, 257, 65535})
    for (const bool drops : {false, true}) {
      SCOPED_TRACE(testing::Message() << experts << " experts, drops: " << drops);
      Rng rng(uint64_t(experts) * 2 + drops);
      const RoutingTrace trace = random_trace(rng, experts, drops);
      write_npz_trace(trace, file.path);
      expect_same_arrays(read_routing_trace(file.path), trace);
    }
}

TEST(Npz, OfTheSameTraceHasTheSameBytes) {
  const TemporaryPath first("first.npz");
  const TemporaryPath second("second.npz");
  for (const auto& path : {first.path, second.path}) {
    Rng rng(4);
    write_npz_trace(random_trace(rng, 6, true), path);
  }
  EXPECT_EQ(bytes_of_file(first.path), bytes_of_file(second.path));
}

TEST(Npz, WithDocumentsCountsThePositionsWithinEach) {
  const std::string ids = npy<uint8_t>(NpyType::u1, {5, 1, 1}, {0, 1, 2, 3, 4});
  const RoutingTrace trace = parse(npz_of({{"ids", ids}, {"doc", npy<int32_t>(NpyType::i4, {5}, {7, 7, 9, 7, 9})}}));
  EXPECT_EQ(trace.request, (std::vector<int32_t>{7, 7, 9, 7, 9}));
  EXPECT_EQ(trace.position, (std::vector<int32_t>{0, 1, 0, 2, 1}));
}

// The largest id of two_tokens() is 9, and the next multiple of 8 that holds 10 experts is 16.
TEST(Npz, SaysWhatItAssumesOfTheNumberOfExperts) {
  const RoutingTrace assumed = parse(npz_of({{"ids", two_tokens()}}));
  EXPECT_EQ(assumed.experts, 16);
  ASSERT_EQ(assumed.notes.size(), 1u);
  EXPECT_TRUE(says(assumed.notes[0], "16 assumed, from the largest id 9"));

  const RoutingTrace beside = parse(npz_of({{"ids", two_tokens()}}), {.experts = 64, .domains = {}});
  EXPECT_EQ(beside.experts, 64);
  EXPECT_EQ(beside.notes.size(), 1u);

  const RoutingTrace told = parse(npz_of({{"ids", two_tokens()}, {"experts", npy<int64_t>(NpyType::i8, {}, {10})}}));
  EXPECT_EQ(told.experts, 10);
  EXPECT_TRUE(told.notes.empty());
}

TEST(Npz, ReadsTheNumberOfExpertsAndTheDomainsFromTheJsonBesideIt) {
  const TemporaryPath npz("sidecar.npz");
  const TemporaryPath json("sidecar.json");
  write_bytes(npz.path, npz_of({{"ids", two_tokens()}, {"domain", npy<uint8_t>(NpyType::u1, {2}, {0, 1})}}));
  write_bytes(json.path, R"({"experts": 60, "domains": ["cxx", "de"]})");
  const RoutingTrace trace = read_routing_trace(npz.path);
  EXPECT_EQ(trace.experts, 60);
  EXPECT_EQ(trace.domains, (std::vector<std::string>{"cxx", "de"}));
  write_bytes(json.path, "[this is not JSON");
  EXPECT_EQ(read_routing_trace(npz.path).experts, 16);
}

TEST(Npz, ReadsWhatTheFormatHasNoPlaceForFromTheJsonBesideIt) {
  const TemporaryPath npz("texts.npz");
  const TemporaryPath json("texts.json");
  write_bytes(npz.path, npz_of({{"ids", two_tokens()}}));
  write_bytes(json.path, R"({"model": "tiny", "recorded": 7, "source": "text", "layer_numbers": [3]})");
  const RoutingTrace trace = read_routing_trace(npz.path);
  EXPECT_EQ(trace.model, "tiny");
  EXPECT_EQ(trace.source, "text");
  EXPECT_EQ(trace.recorded, "");
  EXPECT_EQ(trace.layer_numbers, (std::vector<int32_t>{3}));
  write_bytes(json.path, R"({"layer_numbers": [3, 4]})");
  EXPECT_TRUE(read_routing_trace(npz.path).layer_numbers.empty());
}

TEST(Npz, ReadsGatesOf16Bits) {
  const std::string gate = npy<uint16_t>(NpyType::f2, {2, 1, 2}, {0x3C00, 0x3800, 0x3400, 0x0000});  // 1, 1/2, 1/4, 0
  EXPECT_EQ(parse(npz_of({{"ids", two_tokens()}, {"gate", gate}})).gate, (std::vector<float>{1, 0.5f, 0.25f, 0}));
}

TEST(Npz, NamesEveryArrayThatIsWrong) {
  EXPECT_EQ(parse_error({{"token", two_tokens()}}), "trace.npz: 1 fault\n  /ids: the array is missing");
  EXPECT_EQ(parse_error({{"ids", npy<float>(NpyType::f4, {1, 1, 1}, {0})}}),
            "trace.npz: 1 fault\n  /ids: must hold integers, but holds floating-point numbers");
  EXPECT_EQ(parse_error({{"ids", npy<uint8_t>(NpyType::u1, {2}, {1, 2})}}),
            "trace.npz: 1 fault\n  /ids: must have 3 dimensions, but has 1");
  EXPECT_EQ(parse_error({{"ids", npy<int32_t>(NpyType::i4, {1, 1, 2}, {70000, 1})}}),
            "trace.npz: 1 fault\n  /ids: 70000 is no expert");
  EXPECT_EQ(parse_error({{"ids", two_tokens()},
                         {"gate", npy<float>(NpyType::f4, {2, 1, 1}, {1, 1})},
                         {"token", npy<int64_t>(NpyType::i8, {2}, {1, int64_t{1} << 40})},
                         {"doc", npy<float>(NpyType::f4, {2}, {1, 1})}}),
            "trace.npz: 3 faults\n"
            "  /gate: must have the shape of ids\n"
            "  /token: 1099511627776 does not fit in 32 bits\n"
            "  /doc: must hold integers, but holds floating-point numbers");
}

// A shape is only believed once the data have come.
TEST(Npz, WhoseArraysAreShorterOrLongerThanTheySayIsRefused) {
  const std::string claimed = npy<uint8_t>(NpyType::u1, {1 << 27, 4, 4}, {1, 2, 3, 4});
  EXPECT_EQ(parse_error({{"ids", claimed}}), "trace.npz: 1 fault\n  /ids: the array ends after 4 of 2147483648 bytes");
  EXPECT_EQ(parse_error({{"ids", two_tokens() + "more"}}),
            "trace.npz: 1 fault\n  /ids: the array holds more than its shape says");
  const std::string beyond = npy<uint8_t>(NpyType::u1, {1 << 28, 4, 4}, {1, 2, 3, 4});
  EXPECT_TRUE(says(parse_error({{"ids", beyond}}), "but must be 1 to 2147483648"));
}

TEST(Npz, CutOffOrFlippedIsReadOrRefused) {
  const TemporaryPath file("damaged.npz");
  Rng first(11);
  write_npz_trace(random_trace(first, 6, true), file.path);
  const std::string whole = bytes_of_file(file.path);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string bytes = whole;
    if (seed % 8 == 0) bytes.resize(rng.below(whole.size()));
    for (uint64_t flips = rng.below(4); flips > 0 && !bytes.empty(); --flips)
      bytes[rng.below(bytes.size())] ^= char(1 << rng.below(8));
    try {
      EXPECT_TRUE(check_trace(parse(bytes)).empty());
    } catch (const ConfigError&) {
    }
  }
}

}  // namespace
}  // namespace moesim
