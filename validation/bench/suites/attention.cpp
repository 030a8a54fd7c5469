// Attention: prefill and decode, grouped-query, and MLA's two forms. Keys and values are not in L2.
#include <array>

#include "validation/bench/suites/single_gpu.h"

namespace moesim::bench {
namespace {

constexpr std::array<Attention, 3> grouped_query{{{.heads = 32, .kv_heads = 8, .scale = 0},
                                                  {.heads = 64, .kv_heads = 8, .scale = 0},
                                                  {.heads = 16, .kv_heads = 16, .scale = 0}}};
// MLA expands its latent for a prefill, and reads it as it is for a decode.
constexpr Attention expanded{.heads = 128, .kv_heads = 128, .qk_dim = 192, .v_dim = 128, .scale = 0};
constexpr Attention latent{
    .heads = 128, .kv_heads = 1, .qk_dim = 576, .v_dim = 512, .values = Values::first_of_keys, .scale = 0};
constexpr int64_t elements_max = int64_t{4} << 30;  // of keys or of values: 8 GiB

int64_t keys_of(const Attention& s) { return int64_t(s.batch) * s.kv * s.kv_heads * s.qk_dim; }
int64_t values_of(const Attention& s) {
  return s.values == Values::own ? int64_t(s.batch) * s.kv * s.kv_heads * s.v_dim : 0;
}
int64_t queries_of(const Attention& s) { return int64_t(s.batch) * s.q * s.heads * s.qk_dim; }

struct Case {
  Attention shape;
  bool is_held_out;
};

void append_prefill(std::vector<Case>& cases, Attention shape, int length, int batch, bool is_held_out) {
  if (int64_t(length) * batch > 16384) return;
  shape.q = shape.kv = length;
  shape.batch = batch;
  cases.push_back({shape, is_held_out});
}

void append_decode(std::vector<Case>& cases, Attention shape, int kv, int batch, bool is_held_out) {
  shape.q = 1;
  shape.kv = kv;
  shape.batch = batch;
  if (keys_of(shape) <= elements_max / 2) cases.push_back({shape, is_held_out});
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  std::vector<Attention> prefills(grouped_query.begin(), grouped_query.end());
  prefills.push_back(expanded);
  for (const Attention& shape : prefills) {
    for (const int length : {128, 256, 512, 1024, 2048, 4096, 8192})
      for (const int batch : {1, 2, 8}) append_prefill(cases, shape, length, batch, false);
    for (const int length : {192, 768, 1536, 3072, 6144}) append_prefill(cases, shape, length, 1, true);
    for (const int length : {384, 1280}) append_prefill(cases, shape, length, 4, true);
  }
  std::vector<Attention> decodes(grouped_query.begin(), grouped_query.end());
  decodes.push_back(latent);
  for (const Attention& shape : decodes) {
    for (const int kv : {256, 512, 1024, 2048, 4096, 8192, 16384})
      for (const int batch : {1, 2, 4, 8, 16, 32, 64, 128, 256}) append_decode(cases, shape, kv, batch, false);
    for (const int kv : {384, 1536, 6144})
      for (const int batch : {3, 12, 48, 96}) append_decode(cases, shape, kv, batch, true);
  }
  return cases;
}

struct Memory {
  DeviceArray<bf16> queries;
  RotatingWeights keys, values;
  DeviceArray<bf16> out;
};

Memory memory_for(std::vector<Case>& cases, const Gpu& gpu) {
  const int64_t limit = bytes_free() / 3;
  std::erase_if(cases, [&](const Case& c) { return 2 * keys_of(c.shape) > limit; });
  int64_t queries = 1;
  int64_t keys = 1;
  int64_t values = 1;
  for (const Case& c : cases) {
    queries = std::max(queries, queries_of(c.shape));
    keys = std::max(keys, keys_of(c.shape));
    values = std::max(values, values_of(c.shape));
  }
  return {normal_array(queries, 1, 1, gpu.stream), RotatingWeights(normal_array(keys, 1, 2, gpu.stream)),
          RotatingWeights(normal_array(values, 1, 3, gpu.stream)), DeviceArray<bf16>(size_t(queries))};
}

// So many calls that a sample is long; each reads keys of its own, as far as there are.
int calls_of(const Attention& s, const Memory& memory) {
  const double pairs = double(s.batch) * s.heads * (s.q == 1 ? s.kv : 0.5 * s.q * s.kv);
  const double flops = 2 * pairs * (s.qk_dim + s.v_dim);
  const double bytes = 2.0 * double(keys_of(s) + values_of(s) + queries_of(s));
  const int64_t apart = std::min(memory.keys.bytes() / (2 * keys_of(s) + 256),
                                 values_of(s) == 0 ? 16 : memory.values.bytes() / (2 * values_of(s) + 256));
  return int(std::min<int64_t>(calls_for(expected_us(s.q == 1 ? 0 : 2 * flops, bytes)), std::max<int64_t>(apart, 1)));
}

void measure(Bench& bench, Gpu& gpu, Memory& memory, const Case& c) {
  const Attention& s = c.shape;
  const int sms = gpu.properties.multiProcessorCount;
  const size_t bytes = s.q == 1 ? attention_decode_bytes(s, sms) : 0;
  DeviceArray<uint8_t> workspace(bytes);
  const int calls = calls_of(s, memory);
  const Repeat repeat{
      .warm_up = 2, .samples_min = 7, .samples_max = 20, .seconds_max = 0.02, .calls = calls, .cold_l2 = true};
  const std::vector<double> samples = time_on_gpu(gpu, Launch::graph, repeat, [&] {
    const bf16* const keys = memory.keys.next_bf16(keys_of(s));
    const bf16* const values = memory.values.next_bf16(values_of(s));
    if (s.q == 1)
      attention_decode(memory.queries.data(), keys, values, s, memory.out.data(), workspace.data(), bytes, sms,
                       gpu.stream);
    else
      attention_prefill(memory.queries.data(), keys, values, s, memory.out.data(), gpu.stream);
  });
  nlohmann::ordered_json record{
      {"kind", "attention"}, {"batch", s.batch}, {"q", s.q},
      {"kv", s.kv},          {"heads", s.heads}, {"kv_heads", s.kv_heads},
      {"qk_dim", s.qk_dim},  {"v_dim", s.v_dim}, {"values_are_keys", s.values == Values::first_of_keys},
      {"launch", "graph"},   {"calls", calls}};
  if (c.is_held_out) record["held_out"] = true;
  record["samples_us"] = samples;
  bench.recorder.add(std::move(record));
}

}  // namespace

void run_attention(Bench& bench) {
  std::vector<Case> cases = all_cases();
  shuffle_cases(cases, bench, "attention");
  on_first_gpu(bench, [&](Gpu& gpu) {
    Memory memory = memory_for(cases, gpu);
    for (const Case& c : cases) {
      if (!has_time(bench)) return;
      measure(bench, gpu, memory, c);
    }
  });
}

}  // namespace moesim::bench
