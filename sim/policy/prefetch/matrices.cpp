#include "sim/policy/prefetch/matrices.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/moe/routing.h"

namespace moesim {
namespace {

// Requests among which the kept ones are chosen, as many times as are kept: bounds the time that learning takes.
constexpr size_t kConsideredForEach = 4;

using Matrix = std::vector<float>;

// The tokens of each request, by id, or of each run.
std::vector<std::vector<int64_t>> tokens_of_requests(const PastTokens& past, int64_t run) {
  std::vector<std::vector<int64_t>> tokens;
  if (past.request.empty()) {
    for (int64_t token = 0; token < past.tokens; ++token) {
      if (token % run == 0) tokens.emplace_back();
      tokens.back().push_back(token);
    }
    return tokens;
  }
  std::vector<int32_t> ids(past.request.begin(), past.request.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  tokens.resize(ids.size());
  for (int64_t token = 0; token < past.tokens; ++token)
    tokens[size_t(std::lower_bound(ids.begin(), ids.end(), past.request[size_t(token)]) - ids.begin())].push_back(
        token);
  return tokens;
}

Matrix matrix_of(const PrefetchInput& in, std::span<const int64_t> tokens) {
  Matrix matrix(size_t(in.layers) * size_t(in.experts), 0);
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    const std::span<float> row = std::span(matrix).subspan(size_t(layer) * size_t(in.experts), size_t(in.experts));
    float sum = 0;
    for (const int64_t token : tokens)
      for (const uint16_t expert : in.past.choices(token, layer))
        if (expert != kNoExpert) {
          row[expert] += 1;
          sum += 1;
        }
    if (sum > 0)
      for (float& part : row) part /= sum;
  }
  return matrix;
}

double product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t at = 0; at < a.size(); ++at) sum += double(a[at]) * double(b[at]);
  return sum;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  const double lengths = product(a, a) * product(b, b);
  return lengths > 0 ? product(a, b) / std::sqrt(lengths) : 0;
}

// The first, then each time the one whose most similar kept one is least similar.
std::vector<Matrix> most_different(std::vector<Matrix> of, size_t kept) {
  if (of.size() <= kept) return of;
  std::vector<double> similar(of.size(), 0);
  std::vector<Matrix> chosen;
  size_t next = 0;
  while (chosen.size() < kept) {
    for (size_t at = 0; at < of.size(); ++at)
      if (!of[at].empty()) similar[at] = std::max(similar[at], at == next ? 1 : cosine(of[at], of[next]));
    chosen.push_back(std::move(of[next]));
    of[next].clear();
    similar[next] = 2;
    next = size_t(std::min_element(similar.begin(), similar.end()) - similar.begin());
  }
  return chosen;
}

// The collection, and its mean as the last matrix.
std::vector<Matrix> learn_matrices(const PrefetchInput& in, const MatrixOptions& options) {
  const std::vector<std::vector<int64_t>> requests = tokens_of_requests(in.past, options.run);
  const size_t considered = std::min(requests.size(), size_t(options.matrices) * kConsideredForEach);
  std::vector<Matrix> matrices;
  for (size_t at = 0; at < considered; ++at)
    matrices.push_back(matrix_of(in, requests[at * requests.size() / considered]));
  matrices = most_different(std::move(matrices), size_t(options.matrices));
  Matrix mean(size_t(in.layers) * size_t(in.experts), 0);
  for (const Matrix& matrix : matrices)
    for (size_t item = 0; item < mean.size(); ++item) mean[item] += matrix[item] / float(matrices.size());
  matrices.push_back(std::move(mean));
  return matrices;
}

// What is kept of the comparison, so that a layer costs its experts and not the whole matrix: the product of the
// present matrix with each past one, the squared length of each past one over the layers seen, and that of the present
// one.
struct Comparison {
  std::span<float> product;
  std::span<float> past_square;
  float& present_square;
  std::vector<int32_t>& seen;  // [layer]
};

Comparison comparison(PrefetchState& state) {
  const size_t past = state.matrices.size() - 1;
  return {std::span(state.weight).first(past), std::span(state.weight).subspan(past, past), state.weight.back(),
          state.table[0]};
}

void begin_step(PrefetchState& state, float memory) {
  const Comparison with = comparison(state);
  for (float& value : state.matrix) value *= memory;
  for (float& value : with.product) value *= memory;
  with.present_square *= memory * memory;
  if (memory > 0) return;
  std::fill(with.seen.begin(), with.seen.end(), 0);
  std::fill(with.past_square.begin(), with.past_square.end(), 0.0F);
}

void note_layer(PrefetchState& state, const PrefetchInput& in) {
  const Comparison with = comparison(state);
  const std::vector<int32_t>& chosen = in.chosen[size_t(in.layer)];
  const size_t row = size_t(in.layer) * size_t(in.experts);
  if (with.seen[size_t(in.layer)] == 0)
    for (size_t past = 0; past < with.past_square.size(); ++past) {
      const auto of = std::span(state.matrices[past]).subspan(row, size_t(in.experts));
      with.past_square[past] += float(product(of, of));
    }
  with.seen[size_t(in.layer)] = 1;
  for (const int32_t expert : chosen) {
    const size_t item = row + size_t(expert);
    const float part = 1 / float(chosen.size());
    with.present_square += part * (2 * state.matrix[item] + part);
    state.matrix[item] += part;
    for (size_t past = 0; past < with.product.size(); ++past) with.product[past] += part * state.matrices[past][item];
  }
}

}  // namespace

MatrixMatch match_matrix(PrefetchState& state, const PrefetchInput& in, const MatrixOptions& options) {
  if (state.matrices.empty()) {
    state.matrices = learn_matrices(in, options);
    state.matrix.assign(size_t(in.layers) * size_t(in.experts), 0);
    state.weight.assign(2 * (state.matrices.size() - 1) + 1, 0);
    state.table.assign(1, std::vector<int32_t>(size_t(in.layers), 0));
  }
  if (in.layer < 0) {
    begin_step(state, float(options.memory));
  } else {
    note_layer(state, in);
  }
  const Comparison with = comparison(state);
  MatrixMatch best{state.matrices.back(), 0};
  for (size_t past = 0; past < with.product.size(); ++past) {
    const double lengths = double(with.past_square[past]) * double(with.present_square);
    const double score = lengths > 0 ? double(with.product[past]) / std::sqrt(lengths) : 0;
    if (score > best.score) best = {state.matrices[past], score};
  }
  return best;
}

}  // namespace moesim
