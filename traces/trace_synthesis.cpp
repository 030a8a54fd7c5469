#include "traces/trace_synthesis.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "traces/statistics.h"
#include "traces/trace_input.h"

namespace moesim {
namespace {

constexpr size_t kPlacesCompared = 16;  // by a jump
// Tokens ahead, where places are compared by how often they were used.
constexpr std::array<uint32_t, 3> kLooksAhead{0, 8, 24};
constexpr uint64_t kTurnsAside = 4;     // one in so many tokens leaves text that was used more often than other text
constexpr int kTemplatesTried = 4;      // by a swap
constexpr int kRowsTried = 8;           // for choices beyond the recorded k
constexpr int64_t kDrawsPerChoice = 8;  // before those still missing are taken in order
constexpr uint64_t kNever = UINT64_MAX / 2;

TraceHead head_of_synthesis(const TraceTemplates& templates, const SynthesisOptions& options) {
  TraceHead head;
  head.about = tokens_of(templates.rows, {0, 0});
  for (size_t column = 0; column < kTraceColumns; ++column)
    head.has[column] = !columns(templates.rows)[column].values->empty();
  head.has[column_index("request")] = head.has[column_index("position")] = true;
  head.about.tokens = options.tokens;
  head.about.layers = options.shape.layers;
  head.about.experts = options.shape.experts;
  head.about.top_k = options.shape.top_k;
  head.about.notes.clear();
  if (options.shape.layers > templates.rows.layers) head.about.layer_numbers.clear();
  if (!head.about.layer_numbers.empty()) head.about.layer_numbers.resize(size_t(options.shape.layers));
  head.about.recorded = "synthetic: rows of a recorded trace put together anew";
  head.ids_bytes = options.shape.experts < 256 ? 1 : 2;
  return head;
}

}  // namespace

TraceSynthesizer::TraceSynthesizer(const TraceTemplates& templates, const SynthesisOptions& options)
    : templates_(templates),
      options_(options),
      scaling_(templates.rows, options.shape, options.seed),
      order_(templates, options.tokens),
      head_(head_of_synthesis(templates, options)),
      rng_(Rng::stream(options.seed, "trace synthesis")),
      uses_(size_t(templates.rows.tokens), 0) {
  CHECK(options.tokens > 0);
  const RoutingTrace& rows = templates.rows;
  scales_ = !scaling_.keeps_experts() || options.shape.layers > rows.layers || options.shape.top_k > rows.top_k;
  if (scales_) {
    chosen_in_.assign(size_t(options.shape.experts), 0);
    for (int64_t layer = 0; layer < rows.layers; ++layer) {
      std::vector<double> weights;
      for (const int64_t count : expert_load(rows, layer, all_tokens(rows))) weights.push_back(double(count + 1));
      popularity_.emplace_back(weights);
    }
  }
  for (const TemplatePool& pool : templates.pools) {
    int64_t tokens = 0;
    for (const uint32_t document : pool.documents) tokens += templates.documents[document].tokens;
    use_of_one_.push_back(1 / double(tokens));
  }
  mean_uses_.assign(templates.pools.size(), 0);
  to_jump_ = gap(options.rates.jump);
  to_swap_ = gap(options.rates.swap);
}

uint64_t TraceSynthesizer::gap(double rate) {
  if (rate <= 0) return kNever;
  if (rate >= 1) return 0;
  const double events = exact_log(1 - rng_.uniform()) / exact_log(1 - rate);
  return events < 1e15 ? uint64_t(events) : kNever;
}

void TraceSynthesizer::start_document() {
  ++request_;
  position_ = 0;
  like_ = order_.next(counts_.tokens);
  const TemplateDocument& like = templates_.documents[like_];
  pool_ = like.pool;
  document_left_ = like.tokens;
  const std::vector<uint32_t>& documents = templates_.pools[size_t(pool_)].documents;
  const size_t from = size_t(rng_.below(documents.size()));
  uint32_t best = documents[from];
  for (size_t i = 1; i < std::min(kPlacesCompared, documents.size()); ++i) {
    const uint32_t other = documents[(from + i) % documents.size()];
    if (uses_ahead(uint32_t(templates_.documents[other].first)) <
        uses_ahead(uint32_t(templates_.documents[best].first)))
      best = other;
  }
  place_ = uint32_t(templates_.documents[best].first);
  run_ = 0;
  ++counts_.pieces;
}

// How often a token and some behind it were used; the last of the document stands for what is not there.
uint32_t TraceSynthesizer::uses_ahead(uint32_t token) const {
  const TemplateDocument& document = templates_.documents[templates_.document_of[token]];
  const uint32_t last = uint32_t(document.first + document.tokens - 1);
  uint32_t uses = 0;
  for (const uint32_t ahead : kLooksAhead) uses += uses_[std::min(last, token + ahead)];
  return uses;
}

// True for some of the tokens that were used more often than the pool on average.
bool TraceSynthesizer::is_overused(uint32_t token) {
  return double(uses_[token]) > mean_uses_[size_t(pool_)] + 0.5 && rng_.below(kTurnsAside) == 0;
}

// Behind which token of its group to go on: that whose next one was used least. Itself where no other has a next one.
uint32_t TraceSynthesizer::successor_of(uint32_t token) {
  const auto members = group_members(templates_, templates_.group_of[token]);
  const size_t from = members.size() == 1 ? 0 : size_t(rng_.below(members.size()));
  uint32_t best = token;
  uint32_t uses_best = UINT32_MAX;
  for (size_t i = 0; i < std::min(kPlacesCompared, members.size()); ++i) {
    const uint32_t other = members[(from + i) % members.size()];
    if (ends_document(templates_, other)) continue;
    const uint32_t uses = uses_ahead(other + 1);
    if (uses >= uses_best) continue;
    best = other;
    uses_best = uses;
  }
  return best;
}

void TraceSynthesizer::next_place() {
  const bool must = ends_document(templates_, place_);
  uint32_t behind = place_;
  const bool due = to_jump_ == 0;
  to_jump_ = due ? gap(options_.rates.jump) : to_jump_ - 1;
  if (due || must || (options_.rates.jump > 0 && is_overused(place_ + 1))) behind = successor_of(place_);
  counts_.longest_run = std::max(counts_.longest_run, ++run_);
  if (behind != place_ || must) {
    run_ = 0;
    ++counts_.pieces;
  }
  if (!ends_document(templates_, behind)) {
    place_ = behind + 1;
    return;
  }
  const std::vector<uint32_t>& documents = templates_.pools[size_t(pool_)].documents;
  place_ = uint32_t(templates_.documents[documents[size_t(rng_.below(documents.size()))]].first);
}

uint32_t TraceSynthesizer::other_template(uint32_t token, int64_t source_layer, uint16_t first) {
  const auto members = group_members(templates_, templates_.group_of[token]);
  if (members.size() == 1) return token;
  for (int tried = 0; tried < kTemplatesTried; ++tried) {
    const uint32_t other = members[size_t(rng_.below(members.size()))];
    if (other == token || choices(templates_.rows, other, source_layer)[0] != first) continue;
    ++counts_.swaps;
    return other;
  }
  return token;
}

// Where the layers turn back: what follows must not be what came before.
bool TraceSynthesizer::turns_after(int64_t layer) const {
  return layer > 0 && layer + 1 < options_.shape.layers &&
         scaling_.source_layer(layer - 1) == scaling_.source_layer(layer + 1);
}

void TraceSynthesizer::make_row(uint16_t* row) {
  const int64_t layers = options_.shape.layers;
  const int64_t swaps_before = counts_.swaps;
  uint32_t from = place_;
  for (int64_t layer = 0; layer < layers;) {
    int64_t end = int64_t(std::min(uint64_t(layers - layer), to_swap_ + 1)) + layer;
    if (layers > templates_.rows.layers)
      for (int64_t turn = layer; turn + 1 < end; ++turn)
        if (turns_after(turn)) end = turn + 1;
    copy_layers(from, layer, end, row);
    const bool due = to_swap_ < uint64_t(end - layer);
    to_swap_ = due ? gap(options_.rates.swap) : to_swap_ - uint64_t(end - layer);
    layer = end;
    if (layer == layers || !(due || turns_after(layer - 1))) continue;
    const int64_t source = scaling_.source_layer(layer - 1);
    from = other_template(from, source, choices(templates_.rows, from, source)[0]);
  }
  if (counts_.swaps > swaps_before) ++counts_.new_rows;
}

void TraceSynthesizer::copy_layers(uint32_t from, int64_t first, int64_t end, uint16_t* row) {
  const int64_t top_k = options_.shape.top_k;
  if (scales_) {
    for (int64_t layer = first; layer < end; ++layer) scale_layer(from, layer, row + layer * top_k);
    return;
  }
  if (top_k == templates_.rows.top_k) {
    const uint16_t* recorded = choices(templates_.rows, from, first).data();
    std::copy(recorded, recorded + (end - first) * top_k, row + first * top_k);
    return;
  }
  for (int64_t layer = first; layer < end; ++layer)
    std::copy_n(choices(templates_.rows, from, layer).data(), top_k, row + layer * top_k);
}

bool TraceSynthesizer::take(uint16_t expert, uint16_t* chosen, int64_t& filled) {
  if (filled == options_.shape.top_k) return false;
  if (expert != kDropped) {
    if (chosen_in_[expert] == choice_) return false;
    chosen_in_[expert] = choice_;
  }
  chosen[filled++] = expert;
  return true;
}

void TraceSynthesizer::scale_layer(uint32_t from, int64_t layer, uint16_t* chosen) {
  ++choice_;
  const uint32_t key =
      templates_.rows.token.empty() ? templates_.group_of[from] : uint32_t(templates_.rows.token[from]);
  int64_t filled = 0;
  for (const uint16_t recorded : choices(templates_.rows, from, scaling_.source_layer(layer)))
    take(scaling_.expert(layer, recorded, key), chosen, filled);
  if (filled < options_.shape.top_k) filled = fill_from_group(from, layer, filled, chosen);
  if (filled < options_.shape.top_k) fill_by_popularity(layer, filled, chosen);
}

// What other tokens of the same id choose.
int64_t TraceSynthesizer::fill_from_group(uint32_t from, int64_t layer, int64_t filled, uint16_t* chosen) {
  const auto members = group_members(templates_, templates_.group_of[from]);
  for (int tried = 0; members.size() > 1 && tried < kRowsTried && filled < options_.shape.top_k; ++tried) {
    const uint32_t other = members[size_t(rng_.below(members.size()))];
    for (const uint16_t recorded : choices(templates_.rows, other, scaling_.source_layer(layer)))
      if (recorded != kDropped) take(scaling_.expert(layer, recorded, uint32_t(rng_.next())), chosen, filled);
  }
  return filled;
}

void TraceSynthesizer::fill_by_popularity(int64_t layer, int64_t filled, uint16_t* chosen) {
  const AliasTable& popularity = popularity_[size_t(scaling_.source_layer(layer))];
  const int64_t draws = kDrawsPerChoice * (options_.shape.top_k - filled);
  for (int64_t drawn = 0; drawn < draws && filled < options_.shape.top_k; ++drawn)
    take(scaling_.expert(layer, uint16_t(popularity.draw(rng_)), uint32_t(rng_.next())), chosen, filled);
  const uint64_t experts = uint64_t(options_.shape.experts);
  uint64_t expert = filled < options_.shape.top_k ? rng_.below(experts) : 0;
  for (uint64_t i = 0; i < experts && filled < options_.shape.top_k; ++i, ++expert)
    take(uint16_t(expert % experts), chosen, filled);
}

void TraceSynthesizer::append_token(RoutingTrace& block) {
  const RoutingTrace& rows = templates_.rows;
  if (!rows.token.empty()) block.token.push_back(rows.token[place_]);
  if (!rows.domain.empty()) block.domain.push_back(rows.domain[place_]);
  if (!rows.phase.empty())
    block.phase.push_back(rows.phase[size_t(templates_.documents[like_].first) + size_t(position_)]);
  block.request.push_back(request_);
  block.position.push_back(position_++);
  make_row(block.ids.data() + block.tokens++ * options_.shape.layers * options_.shape.top_k);
  ++uses_[place_];
  mean_uses_[size_t(pool_)] += use_of_one_[size_t(pool_)];
  ++counts_.tokens;
}

void TraceSynthesizer::next_block(int64_t tokens_max, RoutingTrace& block) {
  const int64_t tokens = std::min(tokens_max, options_.tokens - counts_.tokens);
  block.ids.resize(size_t(tokens * options_.shape.layers * options_.shape.top_k));
  block.tokens = 0;
  block.layers = options_.shape.layers;
  block.experts = options_.shape.experts;
  block.top_k = options_.shape.top_k;
  for (const auto& column : columns(block)) column.values->clear();
  while (block.tokens < tokens) {
    if (document_left_ == 0) start_document();
    append_token(block);
    if (--document_left_ > 0) next_place();
  }
}

}  // namespace moesim
