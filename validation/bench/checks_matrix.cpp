#include "validation/bench/checker.h"

namespace moesim::bench {
namespace {

std::vector<int32_t> offsets_of(const std::vector<int>& rows) {
  std::vector<int32_t> offsets = {0};
  for (const int count : rows) offsets.push_back(offsets.back() + count);
  return offsets;
}

struct GroupedCase {
  std::vector<int> rows;
  int n;
  int k;
};

// Many small groups, of which about a third are empty.
std::vector<int> many_small_groups(Rng& rng, int groups) {
  std::vector<int> rows;
  for (int group = 0; group < groups; ++group) rows.push_back(rng.below(3) == 0 ? 0 : int(rng.below(20)));
  return rows;
}

void check_grouped_case(Checker& checker, const GroupedCase& c, const LibraryGemms& library) {
  const std::vector<int32_t> offsets = offsets_of(c.rows);
  const GroupedGemm shape{offsets.back(), int(c.rows.size()), c.n, c.k};
  const Input a = checker.normal_input(size_t(shape.rows) * size_t(c.k));
  const Input w = checker.normal_input(size_t(shape.groups) * size_t(c.n) * size_t(c.k), 0.1F);
  const auto offsets_input = checker.upload(offsets);
  const std::vector<double> expected = reference::grouped_gemm(a.host, w.host, offsets, shape);
  const std::string name = fmt::format("rows {} groups {} n {} k {}", shape.rows, shape.groups, c.n, c.k);

  const auto out = checker.output<bf16>(expected.size());
  grouped_gemm(a.device.data(), w.device.data(), offsets_input.data(), shape, out.data(), checker.device.sms,
               checker.device.stream);
  checker.compare("grouped_gemm", name, out, expected);
  if (library.grouped) {
    const auto library_out = checker.output<bf16>(expected.size());
    library.grouped(a.device.data(), w.device.data(), offsets, shape, library_out.data());
    checker.compare("library grouped_gemm", name, library_out, expected);
  }
  if (library.dense && shape.groups == 1) {
    const auto library_out = checker.output<bf16>(expected.size());
    library.dense(a.device.data(), w.device.data(), shape.rows, c.n, c.k, library_out.data());
    checker.compare("library gemm", name, library_out, expected);
  }
}

struct AttentionCase {
  int batch, q, kv, heads, kv_heads, qk_dim, v_dim;

  Attention shape() const {
    return {.batch = batch,
            .q = q,
            .kv = kv,
            .heads = heads,
            .kv_heads = kv_heads,
            .qk_dim = qk_dim,
            .v_dim = v_dim,
            .values = qk_dim == 576 ? Values::first_of_keys : Values::own,
            .scale = 0};
  }
};

struct AttentionInputs {
  Input queries;
  Input keys;
  Input values;
};

AttentionInputs attention_inputs(Checker& checker, const Attention& shape) {
  const size_t positions = size_t(shape.batch) * size_t(shape.kv) * size_t(shape.kv_heads);
  return {checker.normal_input(size_t(shape.batch) * size_t(shape.q) * size_t(shape.heads) * size_t(shape.qk_dim)),
          checker.normal_input(positions * size_t(shape.qk_dim)),
          checker.normal_input(shape.values == Values::own ? positions * size_t(shape.v_dim) : 0)};
}

std::string name_of(const Attention& s) {
  return fmt::format("batch {} q {} kv {} heads {} kv_heads {} qk_dim {} v_dim {}", s.batch, s.q, s.kv, s.heads,
                     s.kv_heads, s.qk_dim, s.v_dim);
}

void check_prefill(Checker& checker, const Attention& shape) {
  const AttentionInputs in = attention_inputs(checker, shape);
  const std::vector<double> expected = reference::attention(in.queries.host, in.keys.host, in.values.host, shape);
  const auto out = checker.output<bf16>(expected.size());
  attention_prefill(in.queries.device.data(), in.keys.device.data(), in.values.device.data(), shape, out.data(),
                    checker.device.stream);
  checker.compare("attention_prefill", name_of(shape), out, expected);
}

void check_decode(Checker& checker, const Attention& shape) {
  const AttentionInputs in = attention_inputs(checker, shape);
  const std::vector<double> expected = reference::attention(in.queries.host, in.keys.host, in.values.host, shape);
  const auto out = checker.output<bf16>(expected.size());
  const size_t bytes = attention_decode_bytes(shape, checker.device.sms);
  const auto workspace = checker.output<unsigned char>(bytes);
  attention_decode(in.queries.device.data(), in.keys.device.data(), in.values.device.data(), shape, out.data(),
                   workspace.data(), bytes, checker.device.sms, checker.device.stream);
  checker.compare("attention_decode", name_of(shape), out, expected);
}

}  // namespace

void check_grouped_gemm(Checker& checker, const LibraryGemms& library) {
  const std::vector<GroupedCase> cases = {{{1}, 8, 32},
                                          {{0, 0, 5, 0}, 136, 64},
                                          {{128, 64, 1, 0, 200, 127, 129}, 136, 96},
                                          {{257}, 264, 160},
                                          {{300, 0, 513, 64, 65}, 264, 512},
                                          {{1111}, 520, 1024},
                                          {{0, 2300, 3}, 264, 64},  // over 16 row tiles, so more than one strip
                                          {many_small_groups(checker.rng, 256), 136, 128},
                                          {many_small_groups(checker.rng, 1024), 64, 32}};
  for (const GroupedCase& c : checker.shapes(cases, 4)) check_grouped_case(checker, c, library);
}

void check_attention(Checker& checker) {
  const std::vector<AttentionCase> prefills = {{1, 1, 1, 1, 1, 64, 64},       {2, 70, 70, 2, 1, 128, 128},
                                               {1, 5, 133, 2, 2, 192, 128},   {2, 100, 100, 4, 2, 128, 128},
                                               {1, 257, 300, 8, 1, 128, 128}, {1, 129, 129, 2, 2, 192, 128},
                                               {3, 640, 641, 2, 1, 64, 64},   {1, 1000, 1000, 4, 2, 128, 128}};
  for (const AttentionCase& c : checker.shapes(prefills, 3)) check_prefill(checker, c.shape());

  // Up to 16 heads that share a key are one block of ours, 17 are two; of the latent form up to 64.
  const std::vector<AttentionCase> decodes = {
      {1, 1, 1, 1, 1, 64, 64},       {2, 1, 100, 4, 2, 128, 128},    {2, 1, 70, 17, 1, 192, 128},
      {1, 1, 1, 3, 1, 576, 512},     {2, 1, 77, 65, 1, 576, 512},    {3, 1, 333, 8, 2, 128, 128},
      {5, 1, 129, 24, 2, 64, 64},    {1, 1, 1500, 16, 16, 192, 128}, {2, 1, 1000, 32, 1, 128, 128},
      {24, 1, 200, 32, 8, 128, 128}, {1, 1, 30000, 8, 1, 128, 128},  {2, 1, 700, 128, 1, 576, 512},
      {1, 1, 9000, 16, 1, 576, 512}, {40, 1, 96, 128, 1, 576, 512}};
  for (const AttentionCase& c : checker.shapes(decodes, 5)) check_decode(checker, c.shape());
}

}  // namespace moesim::bench
