#include "validation/fit/record_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/core/random.h"

namespace moesim {
namespace {

double sum(const std::vector<int64_t>& values) {
  return double(std::accumulate(values.begin(), values.end(), int64_t{0}));
}

struct Sizes {
  NamedSizes operator()(const OtherRecord&) const { return {}; }
  NamedSizes operator()(const GemmRecord& r) const {
    return {{"m", double(r.m)}, {"n", double(r.n)}, {"k", double(r.k)}};
  }
  NamedSizes operator()(const GroupedGemmRecord& r) const {
    return {{"groups", double(r.rows.size())}, {"rows", sum(r.rows)}, {"n", double(r.n)}, {"k", double(r.k)}};
  }
  NamedSizes operator()(const AttentionRecord& r) const {
    return {{"sequences", double(r.batch)}, {"queries", double(r.q)},         {"keys", double(r.kv)},
            {"heads", double(r.heads)},     {"KV heads", double(r.kv_heads)}, {"head width", double(r.qk_dim)}};
  }
  NamedSizes operator()(const PassRecord& r) const {
    return {{"rows", double(r.rows)},
            {"width", double(r.width)},
            {"experts", double(r.experts)},
            {"top-k", double(r.top_k)}};
  }
  NamedSizes operator()(const CopyRecord& r) const { return {{"bytes", double(r.bytes)}, {"GPUs", r.at_once}}; }
  NamedSizes operator()(const CollectiveRecord& r) const { return {{"bytes", double(r.bytes)}, {"ranks", r.ranks}}; }
  NamedSizes operator()(const LaunchRecord& r) const { return {{"calls", double(r.calls)}}; }
  NamedSizes operator()(const OverlapRecord& r) const { return {{"us", r.first_us + r.second_us}}; }
  NamedSizes operator()(const MoeLayerRecord& r) const {
    return {{"tokens a rank", double(r.tokens_per_rank)},
            {"experts", r.experts},
            {"d", double(r.d)},
            {"f", double(r.f)},
            {"ranks", r.ranks}};
  }
  NamedSizes operator()(const FusedLayerRecord& r) const {
    return {{"tokens", double(r.tokens)}, {"experts", r.experts}, {"top-k", r.top_k},
            {"d", double(r.d)},           {"f", double(r.f)},     {"tensor parallel", r.tensor_parallel}};
  }
  NamedSizes operator()(const ModelStepRecord& r) const {
    return {{"tokens a rank", double(r.tokens_per_rank)},
            {"keys", double(r.kv)},
            {"experts", r.experts},
            {"d", double(r.d)},
            {"f", double(r.f)},
            {"ranks", r.ranks}};
  }
  NamedSizes operator()(const OffloadRecord& r) const {
    return {{"tokens", double(r.tokens)},
            {"experts", r.hit + r.copy + r.cpu},
            {"d", double(r.d)},
            {"f", double(r.f)},
            {"threads", r.threads}};
  }
  NamedSizes operator()(const CpuExpertRecord& r) const {
    return {{"tokens", double(r.tokens)}, {"threads", r.threads}, {"d", double(r.d)}, {"f", double(r.f)}};
  }
};

std::string with_commas(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (ptrdiff_t at = ptrdiff_t(digits.size()) - 3; at > 0; at -= 3) digits.insert(size_t(at), ",");
  return digits;
}

struct SizeRange {
  std::string name;
  double low = 0;
  double high = 0;
};

// Zero is where a size says nothing, such as the experts of a norm.
std::vector<SizeRange> size_ranges(const std::vector<const Measurement*>& measurements) {
  std::vector<SizeRange> ranges;
  for (const Measurement* measurement : measurements)
    for (const auto& [name, size] : sizes_of(*measurement)) {
      if (size <= 0) continue;
      const auto place =
          std::find_if(ranges.begin(), ranges.end(), [&](const SizeRange& range) { return range.name == name; });
      if (place == ranges.end()) {
        ranges.push_back({name, size, size});
        continue;
      }
      place->low = std::min(place->low, size);
      place->high = std::max(place->high, size);
    }
  return ranges;
}

}  // namespace

NamedSizes sizes_of(const Measurement& measurement) { return std::visit(Sizes{}, measurement.what); }

std::string model_of(const Measurement& measurement) {
  if (const auto* layer = std::get_if<MoeLayerRecord>(&measurement.what))
    return layer->model.empty() ? fmt::format("d{}-f{}-e{}-k{}", layer->d, layer->f, layer->experts, layer->top_k)
                                : layer->model;
  if (const auto* fused = std::get_if<FusedLayerRecord>(&measurement.what))
    return fmt::format("d{}-f{}-e{}-k{}", fused->d, fused->f, fused->experts, fused->top_k);
  if (const auto* step = std::get_if<ModelStepRecord>(&measurement.what)) return step->model;
  if (const auto* offload = std::get_if<OffloadRecord>(&measurement.what)) return offload->model;
  return "";
}

std::string size_key(const Measurement& measurement) {
  std::string key = fmt::format("{}", measurement.what.index());
  if (const auto* pass = std::get_if<PassRecord>(&measurement.what)) key += " " + pass->op;
  if (const auto* copy = std::get_if<CopyRecord>(&measurement.what)) key += " " + copy->from + " " + copy->to;
  if (const auto* collective = std::get_if<CollectiveRecord>(&measurement.what)) key += " " + collective->op;
  if (const auto* launch = std::get_if<LaunchRecord>(&measurement.what)) key += " " + launch->what;
  for (const auto& [name, size] : sizes_of(measurement)) key += fmt::format(" {}={}", name, size);
  return key;
}

// FNV-1a, mixed: the key's last digits alone would leave the low bits alike.
size_t fold_of(const std::string& key, size_t folds) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : key) hash = (hash ^ uint8_t(c)) * 0x100000001b3ull;
  return size_t(splitmix64(hash) % folds);
}

std::string sizes_text(const std::vector<const Measurement*>& measurements) {
  std::string text;
  for (const SizeRange& range : size_ranges(measurements)) {
    if (!text.empty()) text += ", ";
    text += range.name + " " + with_commas(range.low);
    if (range.high > range.low) text += " to " + with_commas(range.high);
  }
  return text;
}

double widest_range(const std::vector<const Measurement*>& measurements) {
  double widest = 1;
  for (const SizeRange& range : size_ranges(measurements)) widest = std::max(widest, range.high / range.low);
  return widest;
}

}  // namespace moesim
