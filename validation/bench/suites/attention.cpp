// Attention: prefill and decode, grouped-query and, for decode, MLA's latent form.
#include <array>

#include "validation/bench/bench.h"

namespace moesim::bench {
namespace {

void measure(Bench& bench, Gpu& gpu, const Attention& shape) {
  if (!has_time(bench)) return;
  const size_t queries = size_t(shape.batch) * size_t(shape.q) * size_t(shape.heads);
  const size_t keys = size_t(shape.batch) * size_t(shape.kv) * size_t(shape.kv_heads);
  const bool is_latent = shape.values == Values::first_of_keys;
  DeviceArray<bf16> q(queries * size_t(shape.qk_dim));
  DeviceArray<bf16> k(keys * size_t(shape.qk_dim));
  DeviceArray<bf16> v(is_latent ? 0 : keys * size_t(shape.v_dim));
  DeviceArray<bf16> out(queries * size_t(shape.v_dim));
  fill_normal(q.data(), int64_t(q.size()), 1.0F, 1, gpu.stream);
  fill_normal(k.data(), int64_t(k.size()), 1.0F, 2, gpu.stream);
  if (!is_latent) fill_normal(v.data(), int64_t(v.size()), 1.0F, 3, gpu.stream);
  const int sms = gpu.properties.multiProcessorCount;
  DeviceArray<uint8_t> workspace(shape.q == 1 ? attention_decode_bytes(shape, sms) : 0);
  const auto us = time_on_gpu(gpu, Launch::graph, {.samples_max = 25, .cold_l2 = true}, [&] {
    if (shape.q == 1)
      attention_decode(q.data(), k.data(), v.data(), shape, out.data(), workspace.data(), workspace.size(), sms,
                       gpu.stream);
    else
      attention_prefill(q.data(), k.data(), v.data(), shape, out.data(), gpu.stream);
  });
  bench.recorder.add({{"kind", "attention"},
                      {"batch", shape.batch},
                      {"q", shape.q},
                      {"kv", shape.kv},
                      {"heads", shape.heads},
                      {"kv_heads", shape.kv_heads},
                      {"qk_dim", shape.qk_dim},
                      {"v_dim", shape.v_dim},
                      {"values_are_keys", is_latent},
                      {"launch", "graph"},
                      {"samples_us", us}});
}

}  // namespace

void run_attention(Bench& bench) {
  constexpr std::array<Attention, 3> kHeads{Attention{.heads = 32, .kv_heads = 8},
                                            Attention{.heads = 64, .kv_heads = 8},
                                            Attention{.heads = 16, .kv_heads = 16}};
  on_first_gpu(bench, [&](Gpu& gpu) {
    for (const int length : {1024, 4096, 256, 2048, 512, 8192, 128})
      for (Attention shape : kHeads) {
        shape.q = shape.kv = length;
        measure(bench, gpu, shape);
      }
    for (const int kv : {1024, 4096, 256, 16384})
      for (const int batch : {16, 64, 1, 256, 4}) {
        for (Attention shape : kHeads) {
          shape.batch = batch;
          shape.kv = kv;
          if (int64_t(batch) * kv <= 1 << 20) measure(bench, gpu, shape);
        }
        measure(bench, gpu,
                {.batch = batch,
                 .q = 1,
                 .kv = kv,
                 .heads = 128,
                 .kv_heads = 1,
                 .qk_dim = 576,
                 .v_dim = 512,
                 .values = Values::first_of_keys});
      }
  });
}

}  // namespace moesim::bench
