// Records as scripts/measure_pytorch writes them: medians, one time or several a record.

#include <fmt/core.h>

#include <algorithm>

#include "validation/record_reader.h"

namespace moesim {
namespace {

constexpr int64_t kWidthMax = 1 << 22;
constexpr int32_t kRanksMax = 4096;

struct Reading {
  RecordReader& record;
  int32_t world = 1;
  size_t number = 0;
  std::string kind;
  std::vector<Measurement>& out;
};

template <class What>
void add(Reading& r, Launch launch, const What& what, std::vector<PhaseTime> times) {
  if (times.empty()) return;
  r.out.push_back({r.kind, launch, what, std::move(times), r.number, false});
}

// `us` is eager; `graph_us`, where a file has it, the same as a node of a CUDA graph.
template <class What>
void add_both(Reading& r, const What& what) {
  add(r, Launch::eager, what, {phase_time("all", {r.record.time("us")})});
  if (const auto us = r.record.time_if_any("graph_us")) add(r, Launch::graph, what, {phase_time("all", {*us})});
}

void read_gemm(Reading& r) {
  const GemmRecord gemm{r.record.integer("m", 1), r.record.integer("n", 1, kWidthMax),
                        r.record.integer("k", 1, kWidthMax)};
  add_both(r, gemm);
}

void read_grouped_gemm(Reading& r) {
  GroupedGemmRecord gemm;
  if (r.kind == "grouped_gemm_bf16")
    gemm.rows.assign(size_t(r.record.integer("groups", 1, 1 << 16)), r.record.integer("m_per_group", 0, 1 << 28));
  else
    gemm.rows = r.record.integers("counts");
  gemm.n = r.record.integer("n", 1, kWidthMax);
  gemm.k = r.record.integer("k", 1, kWidthMax);
  gemm.kernel = "pytorch";
  add_both(r, gemm);
}

void read_attention(Reading& r) {
  AttentionRecord attention;
  attention.batch = r.record.integer("batch", 1, 1 << 20);
  attention.q = r.record.integer("q", 1, 1 << 24);
  attention.kv = r.record.integer("kv", 1, 1 << 24);
  attention.heads = r.record.integer("heads", 1, 1 << 16);
  attention.kv_heads = r.record.integer("kv_heads", 1, 1 << 16);
  attention.qk_dim = attention.v_dim = r.record.integer("head_dim", 1, 1 << 16);
  if (attention.kv < attention.q) r.record.fault("kv", "fewer keys than queries");
  if (attention.heads % attention.kv_heads != 0) r.record.fault("kv_heads", "does not divide `heads`");
  add_both(r, attention);
}

void read_operation(Reading& r) {
  const PassRecord pass{r.record.text("op"), r.record.integer("rows", 0), r.record.integer("width", 1, kWidthMax)};
  add(r, Launch::graph, pass, {phase_time("all", {r.record.time("us")})});
}

void read_copy(Reading& r) {
  CopyRecord copy;
  copy.from = r.kind == "copy_h2d_pinned" ? "host_pinned" : "device";
  copy.to = r.kind == "copy_d2h_pinned" ? "host_pinned" : "device";
  copy.bytes = r.record.integer("bytes", 1, kBytesMax);
  copy.at_once = int32_t(r.record.integer_or("ranks", 1, 1, kRanksMax));
  add_both(r, copy);
}

void read_collective(Reading& r, const char* op, const char* bytes_key) {
  CollectiveRecord collective;
  collective.op = op;
  collective.ranks = r.world;
  collective.bytes = r.record.integer(bytes_key, 1, kBytesMax);
  if (r.world < 2) r.record.fault("", "a collective of one rank");
  if (collective.op == "send_receive") collective.ranks = 2;
  if (r.record.has("send_bytes")) {
    const auto rows = r.record.integer_rows("send_bytes");
    const auto is_short = [&](const auto& row) { return row.size() != size_t(r.world); };
    if (rows.size() != size_t(r.world) || std::any_of(rows.begin(), rows.end(), is_short))
      r.record.fault("send_bytes", fmt::format("must be a table of {} by {}", r.world, r.world));
    for (const auto& row : rows) collective.send_bytes.insert(collective.send_bytes.end(), row.begin(), row.end());
  }
  const bool in_graph = r.kind.ends_with("_graph");
  add(r, in_graph ? Launch::graph : Launch::eager, collective, {phase_time("all", {r.record.time("us")})});
}

void read_launches(Reading& r) { add_both(r, LaunchRecord{"small_kernel", 100}); }

// GEMM, all-to-all and copy, each alone and the GEMM beside one of the others. One GPU has no all-to-all.
void read_overlap(Reading& r) {
  const double gemm_us = r.record.time("gemm_us");
  for (const auto& [second, alone, both] :
       {std::array{"all_to_all", "a2a_us", "gemm_and_a2a_us"}, std::array{"copy", "copy_us", "gemm_and_copy_us"}}) {
    const auto alone_us = r.record.time_if_any(alone);
    const auto both_us = r.record.time_if_any(both);
    if (alone_us.has_value() != both_us.has_value())
      r.record.fault("", fmt::format("{} and {} go together", in_quotes(alone), in_quotes(both)));
    if (alone_us && both_us)
      add(r, Launch::eager, OverlapRecord{"gemm", second, gemm_us, *alone_us}, {phase_time("all", {*both_us})});
  }
}

// What our names of the phases are in the files.
constexpr std::array<std::array<const char*, 2>, 9> kPhases{{{"gate", "gate"},
                                                             {"permute", "permute"},
                                                             {"dispatch", "dispatch"},
                                                             {"regroup", "regr"},
                                                             {"experts", "experts"},
                                                             {"unregroup", "unregr"},
                                                             {"combine", "combine"},
                                                             {"unpermute", "unpermute"},
                                                             {"layer", "layer"}}};

void read_layer(Reading& r) {
  MoeLayerRecord layer;
  layer.model = r.record.text("model");
  layer.d = r.record.integer("d", 1, kWidthMax);
  layer.f = r.record.integer("f", 1, kWidthMax);
  layer.experts = r.record.small_integer("E", 1, 65535);
  layer.top_k = r.record.small_integer("k", 1, 65535);
  layer.tokens_per_rank = r.record.integer("tokens_per_rank", 1, 1 << 24);
  layer.ranks = r.world;
  layer.skew = r.record.number_or("skew", 0);
  layer.scatters = true;
  layer.counts = r.record.integer_rows("counts_src_expert");
  check_counts(r.record, "counts_src_expert", layer.counts, layer.tokens_per_rank, layer.top_k, layer.experts,
               layer.ranks);
  layer.experts_us_of_rank = r.record.times_if_any("experts_us_per_rank");
  std::vector<PhaseTime> times;
  if (const JsonNode* const us = r.record.object("us")) {
    const Place place{&r.record.place(), "us"};
    RecordReader phases(*us, place, r.record.faults());
    for (const auto& [phase, key] : kPhases)
      if (const auto time = phases.time_if_any(key)) times.push_back(phase_time(phase, {*time}));
    if (times.empty()) r.record.fault("us", "has none of the phases of a layer");
  }
  add(r, Launch::eager, layer, times);
  std::vector<PhaseTime> graph_times;
  for (const auto& [phase, key] : {std::array{"experts", "experts_graph_us"}, std::array{"layer", "layer_graph_us"}})
    if (const auto time = r.record.time_if_any(key)) graph_times.push_back(phase_time(phase, {*time}));
  layer.experts_us_of_rank.clear();  // they are of the eager phase
  add(r, Launch::graph, layer, graph_times);
}

// The median under `key`_us, with its minimum where the file has one.
std::vector<PhaseTime> medians(RecordReader& record, std::initializer_list<const char*> phases) {
  std::vector<PhaseTime> times;
  for (const char* const phase : phases) {
    const auto time = record.time_if_any((std::string(phase) + "_us").c_str());
    const auto least = record.time_if_any((std::string(phase) + "_min_us").c_str());
    if (!time) continue;
    times.push_back(phase_time(phase, {*time}));
    if (least) times.back().min_us = *least;
  }
  return times;
}

void read_step(Reading& r) {
  ModelStepRecord step;
  step.model = r.record.text("model");
  const std::string phase = r.record.text("phase");
  if (!phase.empty() && phase != "prefill" && phase != "decode")
    r.record.fault("phase", fmt::format("{} is neither prefill nor decode", in_quotes(phase)));
  step.prefill = phase == "prefill";
  step.layers = r.record.small_integer("layers", 1, 4096);
  step.d = r.record.integer("d", 1, kWidthMax);
  step.heads = r.record.integer("heads", 1, 4096);
  step.kv_heads = r.record.integer("kv_heads", 1, 4096);
  step.head_dim = r.record.integer("head_dim", 1, 1 << 16);
  step.f = r.record.integer("f", 1, kWidthMax);
  step.experts = r.record.small_integer("E", 1, 65535);
  step.top_k = r.record.small_integer("k", 1, 65535);
  step.tokens_per_rank = r.record.integer("tokens_per_rank", 1, 1 << 24);
  step.kv = r.record.integer("kv", 1, 1 << 24);
  step.ranks = r.world;
  // Steps of scripts/measure_pytorch, which names their seed, put back and sum as layers do. Those of older files
  // are shorter by what index_add costs.
  step.scatters = r.record.has("seed") && !r.record.has("way_back");
  if (step.heads % step.kv_heads != 0) r.record.fault("kv_heads", "does not divide `heads`");
  if (step.prefill && step.kv != step.tokens_per_rank) r.record.fault("kv", "a prefill's keys are its tokens");
  step.counts = r.record.integer_tables("counts_layer_src_expert");
  if (step.counts.size() != size_t(step.layers))
    r.record.fault("counts_layer_src_expert",
                   fmt::format("has {} layers, but {} ran", step.counts.size(), step.layers));
  for (const auto& counts : step.counts)
    check_counts(r.record, "counts_layer_src_expert", counts, step.tokens_per_rank, step.top_k, step.experts,
                 step.ranks);
  const auto times = medians(r.record, {"eager", "graph"});
  if (times.empty()) r.record.fault("", "has neither `eager_us` nor `graph_us`");
  add(r, Launch::graph, step, times);
}

void read_offload(Reading& r) {
  OffloadRecord offload;
  offload.model = r.record.text("model");
  offload.d = r.record.integer("d", 1, kWidthMax);
  offload.f = r.record.integer("f", 1, kWidthMax);
  offload.tokens = r.record.integer("tokens", 1, 1 << 24);
  offload.hit = r.record.small_integer("hit", 0, 65535);
  offload.copy = r.record.small_integer("copy", 0, 65535);
  offload.cpu = r.record.small_integer("cpu", 0, 65535);
  offload.threads = r.record.small_integer("threads", 1, 4096);
  const auto times = medians(r.record, {"gpu", "cpu", "all"});
  if (times.empty()) r.record.fault("", "has none of `gpu_us`, `cpu_us` and `all_us`");
  add(r, Launch::eager, offload, times);
}

void read_cpu_expert(Reading& r) {
  CpuExpertRecord expert;
  expert.model = r.record.text_or("model", "");
  expert.d = r.record.integer("d", 1, kWidthMax);
  expert.f = r.record.integer("f", 1, kWidthMax);
  expert.tokens = r.record.integer("m", 1, 1 << 24);
  expert.threads = r.record.small_integer("threads", 1, 4096);
  // Files that do not say it have times of weights that come from DRAM: they are 1.1 to 1.7 times those of the same
  // experts in offloaded layers of the same host.
  expert.in_cache = r.record.flag_or("in_cache", false);
  add(r, Launch::eager, expert, {phase_time("all", {r.record.time("us")})});
}

// The operation behind "nccl_...", or nullptr.
bool read_if_collective(Reading& r) {
  struct Known {
    const char* kind;
    const char* op;
    const char* bytes;
  };
  constexpr Known kKnown[] = {
      {"nccl_all_to_all", "all_to_all", "bytes_per_rank"},   {"nccl_all_to_allv", "all_to_all", "bytes_per_rank"},
      {"nccl_all_reduce", "all_reduce", "bytes_per_rank"},   {"nccl_all_gather", "all_gather", "bytes_out"},
      {"nccl_reduce_scatter", "reduce_scatter", "bytes_in"}, {"nccl_send_recv", "send_receive", "bytes"}};
  const std::string name = r.kind.ends_with("_graph") ? r.kind.substr(0, r.kind.size() - 6) : r.kind;
  for (const Known& known : kKnown) {
    if (name != known.kind) continue;
    read_collective(r, known.op, known.bytes);
    return true;
  }
  return false;
}

}  // namespace

void read_pytorch_record(RecordReader& record, int32_t world, size_t number, std::vector<Measurement>& out) {
  Reading r{record, world, number, record.text("kind"), out};
  if (r.kind.empty() || read_if_collective(r)) return;
  struct Known {
    const char* kind;
    void (*read)(Reading&);
  };
  constexpr Known kKnown[] = {{"gemm_bf16", read_gemm},
                              {"grouped_gemm_bf16", read_grouped_gemm},
                              {"grouped_gemm_counts_bf16", read_grouped_gemm},
                              {"attention_sdpa", read_attention},
                              {"op_graph", read_operation},
                              {"copy_d2d", read_copy},
                              {"copy_h2d_pinned", read_copy},
                              {"copy_d2h_pinned", read_copy},
                              {"launch_100_small_kernels", read_launches},
                              {"overlap", read_overlap},
                              {"moe_layer", read_layer},
                              {"model_step", read_step},
                              {"offload_layer", read_offload},
                              {"cpu_expert_bf16", read_cpu_expert}};
  for (const Known& known : kKnown)
    if (r.kind == known.kind) return known.read(r);
  out.push_back({r.kind, Launch::eager, OtherRecord{}, {}, number, false});
}

}  // namespace moesim
