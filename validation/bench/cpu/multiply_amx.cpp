// bf16 with AMX: a tile of weights is 16 rows of 32, as they lie in memory; a tile of activations is 16 pairs of k by
// 16 tokens, which store_row makes; their product is 16 rows by 16 tokens.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "validation/bench/cpu/multiply_parts.h"

namespace moesim::bench {
namespace {

#define TARGET_AMX __attribute__((target("amx-tile,amx-bf16")))

// What the instruction that sets tiles up reads (Intel SDM, LDTILECFG).
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64);

constexpr int64_t tile_values = 16 * 32;  // of activations

TARGET_AMX void store_tile(const float* tile, const Panel& p, int64_t row, int token) {
  const int tokens = std::min(16, p.x.tokens - token);
  for (int t = 0; t < tokens; ++t)
    for (int r = 0; r < 16; ++r) p.out[(token + t) * p.out_stride + row + r] = tile[r * 16 + t];
}

// 32 rows by 32 tokens: four products of two tiles each, so that a loaded tile is used twice.
TARGET_AMX void block_32_32(const Panel& p, int64_t row, int token) {
  const int k = p.matrix.k;
  const auto* const w = reinterpret_cast<const uint16_t*>(p.matrix.values.data()) + row * k;
  const uint16_t* const x = p.x.pairs.data() + int64_t(token / 16) * 16 * k;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int i = 0; i < k; i += 32) {
    _tile_loadd(4, w + i, size_t(k) * 2);
    _tile_loadd(5, w + int64_t(16) * k + i, size_t(k) * 2);
    _tile_loadd(6, x + i / 32 * tile_values, 64);
    _tile_loadd(7, x + int64_t(16) * k + i / 32 * tile_values, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  alignas(64) float tile[16 * 16];
  _tile_stored(0, tile, 64);
  store_tile(tile, p, row, token);
  _tile_stored(1, tile, 64);
  store_tile(tile, p, row, token + 16);
  _tile_stored(2, tile, 64);
  store_tile(tile, p, row + 16, token);
  _tile_stored(3, tile, 64);
  store_tile(tile, p, row + 16, token + 16);
}

TARGET_AMX void block_16_16(const Panel& p, int64_t row, int token) {
  const int k = p.matrix.k;
  const auto* const w = reinterpret_cast<const uint16_t*>(p.matrix.values.data()) + row * k;
  const uint16_t* const x = p.x.pairs.data() + int64_t(token / 16) * 16 * k;
  _tile_zero(0);
  for (int i = 0; i < k; i += 32) {
    _tile_loadd(4, w + i, size_t(k) * 2);
    _tile_loadd(6, x + i / 32 * tile_values, 64);
    _tile_dpbf16ps(0, 4, 6);
  }
  alignas(64) float tile[16 * 16];
  _tile_stored(0, tile, 64);
  store_tile(tile, p, row, token);
}

}  // namespace

bool has_amx_bf16() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool in_cpu = (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;
  constexpr int request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM of Linux 5.16
  constexpr int tile_data = 18;
  return in_cpu && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

TARGET_AMX void multiply_bf16_amx(const Panel& p) {
  TileConfiguration configuration;
  for (int tile = 0; tile < 8; ++tile) {
    configuration.rows[tile] = 16;
    configuration.row_bytes[tile] = 64;
  }
  _tile_loadconfig(&configuration);
  for (int64_t row = p.begin; row < p.end; row += 32) {
    const bool whole = row + 32 <= p.end;
    for (int token = 0; token < p.x.tokens; token += 32) {
      if (whole && token + 16 < p.x.tokens) {
        block_32_32(p, row, token);
        continue;
      }
      for (int64_t r = row; r < std::min(row + 32, p.end); r += 16)
        for (int t = token; t < std::min(token + 32, p.x.tokens); t += 16) block_16_16(p, r, t);
    }
  }
  _tile_release();
}

}  // namespace moesim::bench
