// Records as moesim-bench writes them: all samples of each.

#include <fmt/core.h>

#include <algorithm>

#include "sim/config/reader.h"
#include "validation/record_reader.h"

namespace moesim {
namespace {

constexpr int64_t kWidthMax = 1 << 22;
constexpr int64_t kRowsMax = int64_t{1} << 31;

struct Reading {
  RecordReader& record;
  size_t number = 0;
  std::string kind;
  Launch launch = Launch::eager;
  std::vector<Measurement>& out;
};

template <class What>
void add(Reading& r, const What& what) {
  r.out.push_back({r.kind, r.launch, what, {phase_time("all", r.record.times("samples_us"))}, r.number, false});
}

template <class Value>
Value value_named(Reading& r, const char* key, const std::string& name,
                  std::initializer_list<std::pair<const char*, Value>> values) {
  std::vector<std::string> names;
  for (const auto& [known, value] : values) {
    if (name == known) return value;
    names.push_back(known);
  }
  if (const JsonNode* const node = r.record.node().find(key); node != nullptr && !name.empty())
    is_known_name(*node, Place{&r.record.place(), key}, name, names, "value", r.record.faults());
  return values.begin()->second;
}

void read_gemm(Reading& r) {
  GemmRecord gemm{r.record.integer("m", 1, kRowsMax), r.record.integer("n", 1, kWidthMax),
                  r.record.integer("k", 1, kWidthMax)};
  gemm.precision =
      value_named<Precision>(r, "dtype", r.record.text("dtype"), {{"bf16", Precision::bf16}, {"fp8", Precision::fp8}});
  add(r, gemm);
}

void read_grouped_gemm(Reading& r) {
  add(r, GroupedGemmRecord{r.record.integers("rows"), r.record.integer("n", 1, kWidthMax),
                           r.record.integer("k", 1, kWidthMax), r.record.text("kernel")});
}

void read_attention(Reading& r) {
  AttentionRecord attention;
  attention.batch = r.record.integer("batch", 1, 1 << 20);
  attention.q = r.record.integer("q", 1, 1 << 24);
  attention.kv = r.record.integer("kv", 1, 1 << 24);
  attention.heads = r.record.integer("heads", 1, 1 << 16);
  attention.kv_heads = r.record.integer("kv_heads", 1, 1 << 16);
  attention.qk_dim = r.record.integer("qk_dim", 1, 1 << 16);
  attention.v_dim = r.record.integer("v_dim", 1, 1 << 16);
  attention.values_are_keys = r.record.flag_or("values_are_keys", false);
  if (attention.kv < attention.q) r.record.fault("kv", "fewer keys than queries");
  if (attention.heads % attention.kv_heads != 0) r.record.fault("kv_heads", "does not divide `heads`");
  add(r, attention);
}

void read_gate(Reading& r) {
  PassRecord pass{r.kind, r.record.integer("tokens", 1, kRowsMax), 0};
  pass.experts = r.record.integer("experts", 1, 65535);
  pass.top_k = r.record.integer("k", 1, 65535);
  if (r.record.text_or("score", "softmax") != "softmax") pass.op = "gate_groups";
  add(r, pass);
}

void read_rows(Reading& r) {
  add(r, PassRecord{r.kind, r.record.integer("rows", 0, kRowsMax), r.record.integer("width", 1, kWidthMax)});
}

void read_unpermute(Reading& r) {
  PassRecord pass{r.kind, r.record.integer("tokens", 0, kRowsMax), r.record.integer("width", 1, kWidthMax)};
  pass.top_k = r.record.integer("k", 1, 65535);
  add(r, pass);
}

void read_swiglu(Reading& r) {
  add(r, PassRecord{r.kind, r.record.integer("rows", 0, kRowsMax), r.record.integer("f", 1, kWidthMax)});
}

void read_copy(Reading& r) {
  CopyRecord copy;
  copy.from = r.record.text("from");
  copy.to = r.record.text("to");
  copy.bytes = r.record.integer("bytes", 1, kBytesMax);
  copy.at_once = int32_t(r.record.integer_or("at_once", 1, 1, 4096));
  copy.beside = r.record.text_or("beside", "");
  add(r, copy);
}

void read_launch(Reading& r) { add(r, LaunchRecord{r.record.text("what"), r.record.integer_or("calls", 1, 1)}); }

void read_collective(Reading& r) {
  CollectiveRecord collective;
  collective.op = r.record.text("op");
  collective.ranks = r.record.small_integer("ranks", 2, 4096);
  collective.bytes = r.record.integer("bytes", 1, kBytesMax);
  if (r.record.has("send_bytes")) {
    const auto rows = r.record.integer_rows("send_bytes");
    const auto is_short = [&](const auto& row) { return row.size() != size_t(collective.ranks); };
    if (rows.size() != size_t(collective.ranks) || std::any_of(rows.begin(), rows.end(), is_short))
      r.record.fault("send_bytes", fmt::format("must be a table of {} by {}", collective.ranks, collective.ranks));
    for (const auto& row : rows) collective.send_bytes.insert(collective.send_bytes.end(), row.begin(), row.end());
  }
  add(r, collective);
}

void read_interference(Reading& r) {
  const auto alone = [&](const char* key) { return median(r.record.times(key)); };
  add(r, OverlapRecord{r.record.text("first"), r.record.text("second"), alone("alone_first_us"),
                       alone("alone_second_us")});
}

void read_cpu_expert(Reading& r) {
  CpuExpertRecord expert;
  expert.d = r.record.integer("d", 1, kWidthMax);
  expert.f = r.record.integer("f", 1, kWidthMax);
  expert.tokens = r.record.integer("tokens", 1, 1 << 24);
  expert.threads = r.record.small_integer("threads", 1, 4096);
  expert.precision =
      value_named<Precision>(r, "weights", r.record.text("weights"),
                             {{"bf16", Precision::bf16}, {"int8", Precision::int8}, {"int4", Precision::int4}});
  expert.instructions = r.record.text_or("instructions", "");
  expert.in_cache = r.record.flag_or("in_cache", true);
  add(r, expert);
}

// Our name of the gate covers the order of copies by expert too.
void add_order_to_gate(std::vector<PhaseTime>& times, const std::vector<double>& order_us) {
  if (times.empty() || times[0].phase != "gate" || order_us.empty()) return;
  std::vector<double> both = times[0].samples_us;
  for (double& us : both) us += median(order_us);
  times[0] = phase_time("gate", std::move(both));
}

std::vector<PhaseTime> read_phases(Reading& r) {
  std::vector<PhaseTime> times;
  if (!r.record.has("phases_us")) return times;
  const JsonNode* const phases_us = r.record.object("phases_us");
  if (phases_us == nullptr) return times;
  const Place place{&r.record.place(), "phases_us"};
  RecordReader phases(*phases_us, place, r.record.faults());
  for (const char* const phase :
       {"gate", "permute", "dispatch", "regroup", "experts", "unregroup", "combine", "unpermute"})
    if (auto samples = phases.times_if_any(phase); !samples.empty())
      times.push_back(phase_time(phase, std::move(samples)));
  add_order_to_gate(times, phases.times_if_any("order"));
  return times;
}

void read_layer(Reading& r) {
  MoeLayerRecord layer;
  layer.model = r.record.text_or("model", "");
  layer.d = r.record.integer("d", 1, kWidthMax);
  layer.f = r.record.integer("f", 1, kWidthMax);
  layer.experts = r.record.small_integer("experts", 1, 65535);
  layer.top_k = r.record.small_integer("k", 1, 65535);
  layer.tokens_per_rank = r.record.integer("tokens_per_rank", 1, 1 << 24);
  layer.ranks = r.record.small_integer("ranks", 1, 4096);
  layer.chunks = int32_t(r.record.integer_or("chunks", 1, 1, 4096));
  layer.skew = r.record.number_or("skew", 0);
  layer.counts = r.record.integer_rows("counts_src_expert");
  check_counts(r.record, "counts_src_expert", layer.counts, layer.tokens_per_rank, layer.top_k, layer.experts,
               layer.ranks);
  std::vector<PhaseTime> times = read_phases(r);
  times.push_back(phase_time("layer", r.record.times("samples_us")));
  r.out.push_back({r.kind, r.launch, layer, std::move(times), r.number, false});
}

// In expert parallelism a rank has some of the experts, and which tokens they get, the file does not say.
void read_fused_layer(Reading& r) {
  FusedLayerRecord layer;
  layer.d = r.record.integer("d", 1, kWidthMax);
  layer.f = r.record.integer("f", 1, kWidthMax);
  layer.experts = r.record.small_integer("experts", 1, 65535);
  layer.top_k = r.record.small_integer("k", 1, 65535);
  layer.tokens = r.record.integer("tokens", 1, 1 << 24);
  layer.tensor_parallel = r.record.small_integer("tensor_parallel", 1, 4096);
  layer.precision =
      value_named<Precision>(r, "dtype", r.record.text("dtype"), {{"bf16", Precision::bf16}, {"fp8", Precision::fp8}});
  layer.kernel = r.record.text("kernel");
  const bool is_whole = r.record.integer_or("expert_parallel", 1, 1, 65535) == 1;
  if (!is_whole || r.record.text_or("distribution", "balanced") != "balanced") {
    r.out.push_back({r.kind, r.launch, OtherRecord{}, {}, r.number, false});
    return;
  }
  if (layer.f % layer.tensor_parallel != 0) r.record.fault("tensor_parallel", "does not divide `f`");
  add(r, layer);
}

}  // namespace

void read_bench_record(RecordReader& record, size_t number, std::vector<Measurement>& out) {
  Reading r{record, number, record.text("kind"), Launch::eager, out};
  struct Known {
    const char* kind;
    void (*read)(Reading&);
  };
  constexpr Known kKnown[] = {{"gemm", read_gemm},
                              {"grouped_gemm", read_grouped_gemm},
                              {"attention", read_attention},
                              {"gate", read_gate},
                              {"order", read_gate},
                              {"permute", read_rows},
                              {"rms_norm", read_rows},
                              {"unpermute", read_unpermute},
                              {"swiglu", read_swiglu},
                              {"copy", read_copy},
                              {"launch", read_launch},
                              {"collective", read_collective},
                              {"interference", read_interference},
                              {"cpu_expert", read_cpu_expert},
                              {"moe_layer", read_layer},
                              {"moe_layer_fused", read_fused_layer}};
  for (const Known& known : kKnown) {
    if (r.kind != known.kind) continue;
    r.launch = value_named<Launch>(r, "launch", record.text_or("launch", "eager"),
                                   {{"eager", Launch::eager}, {"graph", Launch::graph}});
    const size_t before = out.size();
    known.read(r);
    for (size_t i = before; i < out.size(); ++i) out[i].held_out = record.flag_or("held_out", false);
    return;
  }
  if (!r.kind.empty()) out.push_back({r.kind, Launch::eager, OtherRecord{}, {}, number, false});
}

}  // namespace moesim
