// Record by record: what is compared, what is left out, and how the report calls it.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "validation/error_table.h"

namespace moesim {
namespace {

constexpr int64_t kLargeTokens = 1024;
constexpr int64_t kEagerCollectiveMin = int64_t{32} << 20;
constexpr int64_t kGraphCollectiveMin = int64_t{64} << 10;
constexpr double kExpertsSpreadMax = 1.10;
constexpr double kPairSpreadMax = 1.25;
constexpr double kOffloadSpreadMax = 1.15;

const PhaseTime* find_phase(const Measurement& measurement, const char* phase) {
  for (const PhaseTime& time : measurement.times)
    if (time.phase == phase) return &time;
  return nullptr;
}

bool differ_more(double a, double b, double ratio) { return std::max(a, b) > ratio * std::min(a, b); }

// Isolated collectives of fewer bytes take one launch, whatever they carry.
std::string small_collective(int64_t bytes, Launch launch) {
  if (launch == Launch::eager && bytes < kEagerCollectiveMin) return "eager collectives below 32 MiB are one launch";
  if (launch == Launch::graph && bytes < kGraphCollectiveMin)
    return "collectives below 64 KiB in a graph are one launch";
  return "";
}

std::string reason_of_layer(const Measurement& measurement, const MoeLayerRecord& layer, const PhaseTime& time) {
  const bool travels = time.phase == "dispatch" || time.phase == "combine";
  if (travels && layer.ranks == 1) return "on one GPU nothing travels";
  if (time.phase == "experts" && !layer.experts_us_of_rank.empty()) {
    const double longest = *std::max_element(layer.experts_us_of_rank.begin(), layer.experts_us_of_rank.end());
    if (differ_more(time.median_us, longest, kExpertsSpreadMax))
      return "experts together and rank by rank differ by more than 10 %";
  }
  if (!travels) return "";
  const PhaseTime* const dispatch = find_phase(measurement, "dispatch");
  const PhaseTime* const combine = find_phase(measurement, "combine");
  if (layer.skew == 0 && dispatch != nullptr && combine != nullptr &&
      differ_more(dispatch->median_us, combine->median_us, kPairSpreadMax))
    return "dispatch and combine of balanced traffic differ by more than 1.25";
  return small_collective(layer.tokens_per_rank * layer.top_k * layer.d * 2, measurement.launch);
}

std::string reason_of_offload(const OffloadRecord& offload, const PhaseTime& time) {
  if (time.phase == "gpu" && offload.hit + offload.copy == 0) return "the GPU has no expert";
  if (time.min_us > 0 && time.median_us / time.min_us > kOffloadSpreadMax)
    return "offloaded layers whose median is over 1.15 times their least";
  return "";
}

std::string size_class(int64_t tokens_per_rank) { return tokens_per_rank < kLargeTokens ? "small" : "large"; }

// How the report calls a measurement.
struct Labels {
  const MeasurementFile& file;

  std::string phase(const std::string& phase) const {
    if (file.format == "pytorch" && phase == "regroup") return "regr";
    if (file.format == "pytorch" && phase == "unregroup") return "unregr";
    return phase;
  }

  std::string kind(const Measurement& measurement) const {
    const bool says_so = measurement.kind.ends_with("_graph") || measurement.kind == "model_step";
    return measurement.launch == Launch::graph && !says_so ? measurement.kind + "_graph" : measurement.kind;
  }
};

std::string size_of(const Measurement& measurement) {
  if (const auto* layer = std::get_if<MoeLayerRecord>(&measurement.what)) return size_class(layer->tokens_per_rank);
  if (const auto* step = std::get_if<ModelStepRecord>(&measurement.what)) return size_class(step->tokens_per_rank);
  return "all";
}

// MB and KB are of 2^20 and 2^10 bytes here, as NCCL's tests count them.
std::string bytes_class(const Measurement& measurement) {
  const auto* const collective = std::get_if<CollectiveRecord>(&measurement.what);
  if (collective == nullptr || !small_collective(collective->bytes, measurement.launch).empty()) return "";
  return collective->bytes >= kEagerCollectiveMin ? "over 32 MB" : "64 KB to 32 MB";
}

// Model and sizes of a record, for people.
struct Describe {
  std::string operator()(const OtherRecord&) const { return ""; }
  std::string operator()(const GemmRecord& r) const { return fmt::format("{} x {} x {}", r.m, r.n, r.k); }
  std::string operator()(const GroupedGemmRecord& r) const {
    int64_t rows = 0;
    for (const int64_t each : r.rows) rows += each;
    return fmt::format("{} rows in {} groups, n {}, k {}", rows, r.rows.size(), r.n, r.k);
  }
  std::string operator()(const AttentionRecord& r) const {
    return fmt::format("{} x {} of {}, {} of {} heads", r.batch, r.q, r.kv, r.heads, r.kv_heads);
  }
  std::string operator()(const PassRecord& r) const { return fmt::format("{} {} x {}", r.op, r.rows, r.width); }
  std::string operator()(const CopyRecord& r) const {
    return fmt::format("{} B from {} to {}, {} at once", r.bytes, r.from, r.to, r.at_once);
  }
  std::string operator()(const CollectiveRecord& r) const {
    return fmt::format("{} of {} B on {} ranks{}", r.op, r.bytes, r.ranks, r.send_bytes.empty() ? "" : " by a table");
  }
  std::string operator()(const LaunchRecord& r) const { return fmt::format("{} times {}", r.calls, r.what); }
  std::string operator()(const OverlapRecord& r) const { return fmt::format("{} beside {}", r.first, r.second); }
  std::string operator()(const MoeLayerRecord& r) const {
    return fmt::format("{} {} tokens on {} ranks, skew {:g}", r.model, r.tokens_per_rank, r.ranks, r.skew);
  }
  std::string operator()(const FusedLayerRecord& r) const {
    return fmt::format("{} tokens to {} of {} experts of {} x {}, tensor parallel {}", r.tokens, r.top_k, r.experts,
                       r.d, r.f, r.tensor_parallel);
  }
  std::string operator()(const ModelStepRecord& r) const {
    return fmt::format("{} {} {} tokens on {} ranks, KV {}, {} layers", r.model, r.prefill ? "prefill" : "decode",
                       r.tokens_per_rank, r.ranks, r.kv, r.layers);
  }
  std::string operator()(const OffloadRecord& r) const {
    return fmt::format("{} {} tokens, {} hits, {} copies, {} on {} threads", r.model, r.tokens, r.hit, r.copy, r.cpu,
                       r.threads);
  }
  std::string operator()(const CpuExpertRecord& r) const {
    return fmt::format("{} {} x {}, {} tokens, {} threads", r.model, r.d, r.f, r.tokens, r.threads);
  }
};

}  // namespace

std::string reason_to_drop(const Measurement& measurement, const PhaseTime& time) {
  if (const auto* layer = std::get_if<MoeLayerRecord>(&measurement.what))
    return reason_of_layer(measurement, *layer, time);
  if (const auto* offload = std::get_if<OffloadRecord>(&measurement.what)) return reason_of_offload(*offload, time);
  if (const auto* collective = std::get_if<CollectiveRecord>(&measurement.what))
    return small_collective(collective->bytes, measurement.launch);
  return "";
}

FileComparison compare(const PredictionModel& model, const MeasurementFile& file) {
  FileComparison result;
  const Labels labels{file};
  for (const Measurement& measurement : file.records) {
    const std::vector<Predicted> predicted = predict(model, measurement);
    if (measurement.times.empty()) ++result.not_predicted[labels.kind(measurement)];
    for (const PhaseTime& time : measurement.times) {
      const auto is_it = [&](const Predicted& one) { return one.phase == time.phase; };
      const auto found = std::find_if(predicted.begin(), predicted.end(), is_it);
      Comparison one{file.source,
                     int64_t(measurement.record),
                     labels.kind(measurement),
                     labels.phase(time.phase),
                     size_of(measurement),
                     std::visit(Describe{}, measurement.what),
                     time.median_us,
                     found == predicted.end() ? 0 : found->us,
                     reason_to_drop(measurement, time),
                     bytes_class(measurement)};
      if (found == predicted.end() && one.dropped.empty())
        ++result.not_predicted[one.phase == "all" ? one.kind : one.kind + " " + one.phase];
      else
        result.compared.push_back(std::move(one));
    }
  }
  return result;
}

}  // namespace moesim
