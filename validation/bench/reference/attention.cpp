#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "validation/bench/reference/parallel.h"
#include "validation/bench/reference/reference.h"

namespace moesim::bench::reference {
namespace {

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

}  // namespace

std::vector<double> attention(std::span<const float> queries, std::span<const float> keys,
                              std::span<const float> values, const Attention& shape) {
  const size_t q = size_t(shape.q);
  const size_t kv = size_t(shape.kv);
  const size_t heads = size_t(shape.heads);
  const size_t kv_heads = size_t(shape.kv_heads);
  const size_t qk_dim = size_t(shape.qk_dim);
  const size_t v_dim = size_t(shape.v_dim);
  CHECK(q > 0 && q <= kv);
  CHECK(heads % kv_heads == 0);
  CHECK(queries.size() == size_t(shape.batch) * q * heads * qk_dim);
  CHECK(keys.size() == size_t(shape.batch) * kv * kv_heads * qk_dim);
  const double scale = shape.scale > 0 ? double(shape.scale) : 1 / std::sqrt(double(shape.qk_dim));
  const bool own = shape.values == Values::own;
  const size_t value_stride = own ? v_dim : qk_dim;
  const std::span<const float> v = own ? values : keys;
  CHECK(v.size() == size_t(shape.batch) * kv * kv_heads * value_stride);

  std::vector<double> out(size_t(shape.batch) * q * heads * v_dim);
  parallel_for(int64_t(size_t(shape.batch) * q * heads), [&](int64_t index) {
    const size_t row = size_t(index);  // (sequence, query, head)
    const size_t kv_head = row % heads / (heads / kv_heads);
    const size_t sequence = row / heads / q;
    const size_t keys_seen = row / heads % q + 1 + kv - q;
    std::vector<double> scores;
    for (size_t key = 0; key < keys_seen; ++key)
      scores.push_back(scale * dot(queries.subspan(row * qk_dim, qk_dim),
                                   keys.subspan(((sequence * kv + key) * kv_heads + kv_head) * qk_dim, qk_dim)));
    const double highest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - highest);
    for (size_t key = 0; key < keys_seen; ++key)
      for (size_t i = 0; i < v_dim; ++i)
        out[row * v_dim + i] +=
            scores[key] / sum * double(v[((sequence * kv + key) * kv_heads + kv_head) * value_stride + i]);
  });
  return out;
}

}  // namespace moesim::bench::reference
