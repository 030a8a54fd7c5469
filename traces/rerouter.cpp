#include "traces/rerouter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "traces/statistics.h"

namespace moesim {
namespace {

// Thresholds are learned from the first rows; so many scores of a layer are enough for four digits.
constexpr size_t kRankedMax = size_t{1} << 22;

bool is_full(const Rerouting& options) { return options.scores == ScoreSource::synthetic; }

}  // namespace

Rerouter::Rerouter(const Rerouting& options, const RoutingTrace& about, uint64_t seed)
    : options_(options),
      experts_(about.experts),
      layers_(about.layers),
      top_k_(options.top_k > 0 ? options.top_k : about.top_k),
      width_(top_k_ - options.shared_experts),
      seed_(Rng::stream(seed, "rerouting").next()),
      load_(size_t(about.layers), std::vector<int64_t>(size_t(about.experts), 0)),
      ranked_(size_t(about.layers)),
      ranked_rows_(size_t(about.layers), 0),
      new_load_(size_t(about.layers), std::vector<int64_t>(size_t(about.experts), 0)) {
  if (options.selection == Selection::top_p) width_ = is_full(options) ? experts_ : about.top_k;
  if (options.selection == Selection::expert_choice) width_ = experts_;
  shared_.resize(size_t(layers_));
  thresholds_.resize(size_t(layers_), -1);
  tie_shares_.resize(size_t(layers_), 0);
}

bool Rerouter::needs_load() const { return options_.shared_experts > 0 || is_full(options_); }

void Rerouter::learn_load(const RoutingTrace& block) {
  for (int64_t token = 0; token < block.tokens; ++token)
    for (int64_t layer = 0; layer < layers_; ++layer)
      for (const uint16_t expert : choices(block, token, layer).first(size_t(std::min(top_k_, block.top_k))))
        if (expert != kDropped) ++load_[size_t(layer)][expert];
}

bool Rerouter::needs_thresholds() const { return idle_experts(options_) > 0; }

// Choices that no number of idle experts can take: with fewer of those than choices, the best always compute.
int64_t Rerouter::ranks_below_all_idle() const { return std::max<int64_t>(0, width_ - idle_experts(options_)); }

void Rerouter::learn_thresholds(const RoutingTrace& block, int64_t first_token) {
  const auto first_rank = size_t(ranks_below_all_idle());
  for (int64_t layer = 0; layer < layers_; ++layer)
    for (int64_t token = 0; token < block.tokens && ranked_[size_t(layer)].size() < kRankedMax; ++token) {
      Rng rng(splitmix64(seed_ ^ splitmix64(uint64_t((first_token + token) * layers_ + layer))));
      candidates(block, token, layer, rng);
      for (size_t rank = first_rank; rank < std::min(size_t(width_), sorted_.size()); ++rank)
        ranked_[size_t(layer)].push_back(sorted_[rank].score);
      ++ranked_rows_[size_t(layer)];
    }
}

void Rerouter::finish_thresholds() {
  const double all = double(experts() + idle_experts(options_));
  const double wanted = options_.true_experts > 0 ? options_.true_experts : double(width_) * double(experts()) / all;
  const double learned = wanted - double(ranks_below_all_idle());  // experts a row that compute by the threshold
  for (size_t layer = 0; layer < size_t(layers_); ++layer) {
    std::vector<float>& scores = ranked_[layer];
    const int64_t above = std::llround(learned * double(ranked_rows_[layer]));
    if (above <= 0) {
      thresholds_[layer] = std::numeric_limits<float>::infinity();
    } else if (above < int64_t(scores.size())) {
      std::nth_element(scores.begin(), scores.begin() + above, scores.end(), std::greater<>());
      const float threshold = scores[size_t(above)];
      const auto greater = std::count_if(scores.begin(), scores.end(), [&](float score) { return score > threshold; });
      const auto equal = std::count(scores.begin(), scores.end(), threshold);
      thresholds_[layer] = threshold;
      tie_shares_[layer] = double(above - greater) / double(equal);
    }
    scores = {};
  }
}

// Fills sorted_ with the scores of a row, the highest first.
void Rerouter::candidates(const RoutingTrace& batch, int64_t token, int64_t layer, Rng& rng) {
  sorted_.clear();
  const auto ids = choices(batch, token, layer);
  for (size_t k = 0; k < ids.size(); ++k)
    if (ids[k] != kDropped)
      sorted_.push_back({batch.gate.empty() ? 0.0F : gate_weights(batch, token, layer)[k], ids[k]});
  if (is_full(options_)) {
    if (!fill_) fill_.emplace(load_, experts_);
    fill_->complete(layer, !batch.gate.empty(), sorted_, rng);
  }
  if (options_.noise > 0)
    for (ScoredExpert& candidate : sorted_)
      candidate.score = float(double(candidate.score) * exact_exp(options_.noise * rng.normal()));
  // Recorded order decides among equal scores, so that nothing changes where nothing is asked for.
  const auto higher = [](const ScoredExpert& a, const ScoredExpert& b) { return a.score > b.score; };
  if (!std::is_sorted(sorted_.begin(), sorted_.end(), higher)) std::stable_sort(sorted_.begin(), sorted_.end(), higher);
  if (options_.shared_experts > 0) renumber_without_shared(layer);
}

void Rerouter::renumber_without_shared(int64_t layer) {
  std::vector<uint16_t>& shared = shared_[size_t(layer)];
  if (shared.empty()) {
    std::vector<uint16_t> by_load(static_cast<size_t>(experts_));
    std::iota(by_load.begin(), by_load.end(), uint16_t{0});
    const std::vector<int64_t>& load = load_[size_t(layer)];
    std::stable_sort(by_load.begin(), by_load.end(), [&](uint16_t a, uint16_t b) { return load[a] > load[b]; });
    shared.assign(by_load.begin(), by_load.begin() + options_.shared_experts);
    std::sort(shared.begin(), shared.end());
  }
  const auto is_shared = [&](const ScoredExpert& c) {
    return std::binary_search(shared.begin(), shared.end(), c.expert);
  };
  sorted_.erase(std::remove_if(sorted_.begin(), sorted_.end(), is_shared), sorted_.end());
  for (ScoredExpert& candidate : sorted_)
    candidate.expert = uint16_t(candidate.expert -
                                (std::lower_bound(shared.begin(), shared.end(), candidate.expert) - shared.begin()));
}

size_t Rerouter::select(int64_t layer, Row& row, Rng& rng) {
  const size_t at_most = std::min(size_t(width_), sorted_.size());
  switch (options_.selection) {
    case Selection::top_p: {
      double sum = 0;
      for (const ScoredExpert& candidate : sorted_) sum += double(candidate.score);
      // Scores of all experts may have any sum; those of some are taken to be shares of 1.
      const double whole = int64_t(sorted_.size()) == experts_ ? sum : 1;
      if (sum <= options_.p * whole) ++counts_.undecided_rows;
      return std::min(at_most, select_top_p(sorted_, options_.p, whole));
    }
    case Selection::grouped:
      return select_grouped(sorted_, top_k_, options_.groups, experts_, groups_);
    case Selection::group_limited:
      return select_group_limited(sorted_, top_k_, options_.groups, options_.top_groups, options_.group_best, experts_,
                                  groups_);
    case Selection::expert_choice:
      CHECK(false);
    case Selection::top_k:
      break;
  }
  if (idle_experts(options_) == 0) return at_most;
  size_t computed = std::min(size_t(ranks_below_all_idle()), at_most);
  const float threshold = thresholds_[size_t(layer)];
  const auto computes = [&](float score) {
    return score > threshold || (score == threshold && rng.uniform() < tie_shares_[size_t(layer)]);
  };
  while (computed < at_most && computes(sorted_[computed].score)) ++computed;
  row.idle = int64_t(std::min(size_t(width_) - computed, size_t(idle_experts(options_))));
  return computed;
}

void Rerouter::route_layer(const RoutingTrace& batch, int64_t first_token, int64_t layer) {
  for (int64_t token = 0; token < batch.tokens; ++token) {
    Rng rng(splitmix64(seed_ ^ splitmix64(uint64_t((first_token + token) * layers_ + layer))));
    candidates(batch, token, layer, rng);
    Row& row = rows_[size_t(token)];
    row.kept = int64_t(select(layer, row, rng));
    std::copy_n(sorted_.begin(), row.kept, row.picked.begin());
    count_idle(row.idle, rng);
  }
}

void Rerouter::choose_by_experts(const RoutingTrace& batch, int64_t first_token, int64_t layer) {
  std::vector<float> scores(size_t(batch.tokens * experts_), 0);
  for (int64_t token = 0; token < batch.tokens; ++token) {
    Rng rng(splitmix64(seed_ ^ splitmix64(uint64_t((first_token + token) * layers_ + layer))));
    candidates(batch, token, layer, rng);
    for (const ScoredExpert& candidate : sorted_) scores[size_t(token * experts_ + candidate.expert)] = candidate.score;
  }
  const int64_t taken =
      std::clamp<int64_t>(std::llround(double(batch.tokens * top_k_) / double(experts_)), 1, batch.tokens);
  std::vector<uint8_t> chosen;
  select_by_experts(scores, experts_, taken, chosen);
  for (int64_t token = 0; token < batch.tokens; ++token) {
    Row& row = rows_[size_t(token)];
    for (int64_t expert = 0; expert < experts_; ++expert)
      if (const auto at = size_t(token * experts_ + expert); chosen[at] != 0)
        row.picked[size_t(row.kept++)] = {scores[at], uint16_t(expert)};
    std::sort(row.picked.begin(), row.picked.begin() + row.kept, scores_higher);
  }
}

void Rerouter::drop_beyond_capacity() {
  struct Choice {
    float score;
    int64_t row;
    int64_t rank;
  };
  std::vector<Choice> order;
  int64_t longest = 0;
  for (const Row& row : rows_) longest = std::max(longest, row.kept);
  for (int64_t rank = 0; rank < longest; ++rank)
    for (size_t row = 0; row < rows_.size(); ++row)
      if (rank < rows_[row].kept) order.push_back({rows_[row].picked[size_t(rank)].score, int64_t(row), rank});
  if (options_.drop_order == DropOrder::score)
    std::stable_sort(order.begin(), order.end(), [](const Choice& a, const Choice& b) { return a.score > b.score; });

  const double room = std::ceil(options_.capacity_factor * double(order.size()) / double(experts()));
  std::vector<int64_t> taken(size_t(experts()), 0);
  for (const Choice& choice : order) {
    ScoredExpert& picked = rows_[size_t(choice.row)].picked[size_t(choice.rank)];
    if (double(taken[picked.expert]++) >= room) picked.expert = kDropped;
  }
  for (Row& row : rows_) {
    const auto end = row.picked.begin() + row.kept;
    const auto kept = std::remove_if(row.picked.begin(), end, [](const auto& c) { return c.expert == kDropped; });
    row.dropped = end - kept;
    row.kept -= row.dropped;
  }
}

// Which of the idle experts a row took is drawn: their scores are alike.
void Rerouter::count_idle(int64_t idle, Rng& rng) {
  int64_t zero = options_.zero_experts;
  int64_t copy = options_.copy_experts;
  int64_t constant = options_.constant_experts;
  for (; idle > 0; --idle) {
    const auto drawn = int64_t(rng.below(uint64_t(zero + copy + constant)));
    if (drawn < zero) {
      --zero;
      ++counts_.zero;
    } else if (drawn < zero + copy) {
      --copy;
      ++counts_.copied;
    } else {
      --constant;
      ++counts_.constant;
    }
  }
}

void Rerouter::count_layer(int64_t layer) {
  std::vector<int64_t> load(size_t(experts()), 0);
  for (const Row& row : rows_) {
    for (int64_t i = 0; i < row.kept; ++i) ++load[row.picked[size_t(i)].expert];
    counts_.computed += row.kept;
    counts_.dropped += row.dropped;
    counts_.selected += row.kept + row.dropped + row.idle;
    counts_.unrouted_rows += row.kept == 0 ? 1 : 0;
    counts_.lost_rows += row.kept == 0 && row.idle == 0 && row.dropped > 0 ? 1 : 0;
    counts_.experts_per_row_max = std::max(counts_.experts_per_row_max, row.kept);
    counts_.experts_per_row_min = std::min(counts_.experts_per_row_min, row.kept);
  }
  counts_.rows += int64_t(rows_.size());
  for (size_t expert = 0; expert < load.size(); ++expert) new_load_[size_t(layer)][expert] += load[expert];
  if (experts() % options_.groups != 0) return;
  const std::vector<int64_t> of_groups = contiguous_load(load, options_.groups);
  const auto [least, most] = std::minmax_element(of_groups.begin(), of_groups.end());
  imbalance_sum_ += double(*most - *least) / double(rows_.size());
  ++imbalances_;
}

void Rerouter::write_layer(int64_t layer, RoutingTrace& out) const {
  for (size_t token = 0; token < rows_.size(); ++token) {
    const int64_t first = (int64_t(token) * out.layers + layer) * out.top_k;
    const int64_t count = std::min(rows_[token].kept, out.top_k);
    for (int64_t i = 0; i < count; ++i) {
      out.ids[size_t(first + i)] = rows_[token].picked[size_t(i)].expert;
      if (!out.gate.empty()) out.gate[size_t(first + i)] = rows_[token].picked[size_t(i)].score;
    }
  }
}

RoutingTrace Rerouter::route(const RoutingTrace& batch, int64_t first_token, int64_t width) {
  RoutingTrace out = batch;
  out.top_k = width;
  out.experts = experts();
  out.ids.assign(size_t(batch.tokens * layers_ * width), kDropped);
  if (!batch.gate.empty()) out.gate.assign(out.ids.size(), 0);
  picked_.resize(size_t(batch.tokens * width_));
  for (int64_t layer = 0; layer < layers_; ++layer) {
    rows_.assign(size_t(batch.tokens), Row{});
    for (int64_t token = 0; token < batch.tokens; ++token)
      rows_[size_t(token)].picked = std::span(picked_).subspan(size_t(token * width_), size_t(width_));
    if (options_.selection == Selection::expert_choice)
      choose_by_experts(batch, first_token, layer);
    else
      route_layer(batch, first_token, layer);
    if (options_.capacity_factor > 0) drop_beyond_capacity();
    count_layer(layer);
    write_layer(layer, out);
  }
  counts_.tokens += batch.tokens;
  return out;
}

RerouteCounts Rerouter::counts() const {
  RerouteCounts counts = counts_;
  counts.routing = about_rerouting(options_);
  counts.shared = counts.rows * options_.shared_experts;
  counts.baseline = counts.rows * (options_.baseline > 0 ? options_.baseline : top_k_);
  if (counts.baseline > 0) counts.saved_work = 1 - double(counts.computed + counts.shared) / double(counts.baseline);
  if (imbalances_ > 0) counts.group_imbalance = imbalance_sum_ / double(imbalances_);
  double hottest = 0;
  for (const std::vector<int64_t>& load : new_load_) hottest += max_over_mean(std::span(load).first(size_t(experts())));
  if (layers_ > 0) counts.hottest_over_mean = hottest / double(layers_);
  if (counts.rows == 0) counts.experts_per_row_min = 0;
  return counts;
}

}  // namespace moesim
