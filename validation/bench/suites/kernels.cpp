// The small kernels around the experts: gates, ordering, permute, unpermute, SwiGLU, RMSNorm. Their inputs are in L2
// where they fit, as in a layer, in which the kernel before has just written them.
#include <array>

#include "validation/bench/suites/single_gpu.h"

namespace moesim::bench {
namespace {

struct Gate {
  int experts, k, groups, top_groups;  // groups 0: softmax
};
constexpr std::array<Gate, 8> gates{{{8, 2, 0, 0},
                                     {64, 8, 0, 0},
                                     {64, 6, 0, 0},
                                     {128, 8, 0, 0},
                                     {128, 4, 0, 0},
                                     {256, 8, 8, 4},
                                     {160, 6, 8, 3},
                                     {384, 8, 1, 1}}};
// The last three are for what a fit must not see.
constexpr std::array<int, 13> tokens_of{1, 4, 16, 64, 256, 1024, 2048, 4096, 8192, 16384, 96, 1536, 6144};
constexpr std::array<int, 6> widths{1536, 2048, 2880, 4096, 5120, 7168};
constexpr std::array<int, 6> ffn_widths{768, 1024, 1408, 2048, 6400, 14336};

// The k of a token for the width of its rows, as the models of these widths have it.
int top_k(int width) { return width == 4096 ? 2 : width == 2880 ? 4 : 8; }

struct Case {
  const char* kind;
  int tokens;
  int width = 0;
  Gate gate{};
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const int tokens : tokens_of) {
    for (const Gate& gate : gates) {
      cases.push_back({"gate", tokens, 0, gate});
      cases.push_back({"order", tokens, 0, gate});
    }
    for (const char* kind : {"permute", "unpermute", "rms_norm"})
      for (const int width : widths) cases.push_back({kind, tokens, width, {}});
    for (const int width : ffn_widths) cases.push_back({"swiglu", tokens, width, {}});
  }
  return cases;
}

// Memory for the largest case of each kind.
struct Memory {
  DeviceArray<bf16> in, out, gain;
  DeviceArray<float> scores, weights, bias;
  DeviceArray<int32_t> ids, index, counts, offsets, row_of_slot, slot_of_choice;
  DeviceArray<uint8_t> workspace;
};

constexpr int tokens_max = 16384;
constexpr int k_max = 8;
constexpr int experts_max = 384;
constexpr int64_t rows_max = int64_t{tokens_max} * k_max;

// Tokens choose experts evenly: choice j of token t is expert 7 t + 13 j, so that neighbours differ.
std::vector<int32_t> spread_ids(const Gate& gate) {
  std::vector<int32_t> ids;
  for (int token = 0; token < tokens_max; ++token)
    for (int j = 0; j < gate.k; ++j) ids.push_back((7 * token + 13 * j) % gate.experts);
  return ids;
}

void set_up(Memory& memory, const Gpu& gpu, uint64_t seed) {
  const int64_t wide = std::max<int64_t>(rows_max * widths.back(), int64_t{2} * tokens_max * ffn_widths.back());
  memory.in = normal_array(wide, 1, seed, gpu.stream);
  memory.out = normal_array(wide, 1, seed, gpu.stream);
  memory.gain = normal_array(widths.back(), 1, seed, gpu.stream);
  memory.scores = DeviceArray<float>(size_t{tokens_max} * experts_max);
  fill_normal(memory.scores.data(), int64_t(memory.scores.size()), 1, seed, gpu.stream);
  memory.bias = DeviceArray<float>(experts_max);
  fill_normal(memory.bias.data(), experts_max, 0.1F, seed, gpu.stream);
  memory.weights = DeviceArray<float>(size_t(rows_max));
  fill_normal(memory.weights.data(), rows_max, 1, seed, gpu.stream);
  for (DeviceArray<int32_t>* each : {&memory.ids, &memory.index, &memory.row_of_slot, &memory.slot_of_choice})
    *each = DeviceArray<int32_t>(size_t(rows_max));
  memory.counts = DeviceArray<int32_t>(experts_max);
  memory.offsets = DeviceArray<int32_t>(experts_max + 1);
  memory.workspace = DeviceArray<uint8_t>(order_by_expert_bytes(tokens_max, k_max, experts_max));
}

// Rows in the order of 64 experts: what permute reads and where unpermute finds them.
void set_up_order(Memory& memory, const Gpu& gpu, int tokens, int k) {
  memory.ids.upload(spread_ids({64, k, 0, 0}));
  const ExpertOrder order{memory.counts.data(), memory.offsets.data(), memory.row_of_slot.data(),
                          memory.slot_of_choice.data()};
  order_by_expert(memory.ids.data(), tokens, k, 64, order, memory.workspace.data(), memory.workspace.size(),
                  gpu.stream);
  check_cuda(cudaStreamSynchronize(gpu.stream));
}

std::function<void()> work_of(const Case& c, Memory& m, const Gpu& gpu) {
  const std::string kind = c.kind;
  const cudaStream_t stream = gpu.stream;
  const int k = top_k(c.width);
  if (kind == "gate" && c.gate.groups == 0)
    return [&m, &c, stream] {
      softmax_top_k(m.scores.data(), c.tokens, c.gate.experts, c.gate.k, Normalize::yes, m.weights.data(),
                    m.index.data(), stream);
    };
  if (kind == "gate")
    return [&m, &c, stream] {
      const GroupGate gate{c.gate.experts, c.gate.k, c.gate.groups, c.gate.top_groups, 2.5F};
      sigmoid_group_top_k(m.scores.data(), m.bias.data(), c.tokens, gate, m.weights.data(), m.index.data(), stream);
    };
  if (kind == "order") {
    m.ids.upload(spread_ids(c.gate));
    return [&m, &c, stream] {
      const ExpertOrder order{m.counts.data(), m.offsets.data(), m.row_of_slot.data(), m.slot_of_choice.data()};
      order_by_expert(m.ids.data(), c.tokens, c.gate.k, c.gate.experts, order, m.workspace.data(), m.workspace.size(),
                      stream);
    };
  }
  if (kind == "permute" || kind == "unpermute") set_up_order(m, gpu, c.tokens, k);
  if (kind == "permute")
    return [&m, &c, k, stream] {
      permute_rows(m.in.data(), m.row_of_slot.data(), c.tokens * k, c.width, m.out.data(), stream);
    };
  if (kind == "unpermute")
    return [&m, &c, k, stream] {
      unpermute(m.in.data(), m.slot_of_choice.data(), m.weights.data(), c.tokens, k, c.width, m.out.data(), stream);
    };
  if (kind == "swiglu") return [&m, &c, stream] { swiglu(m.in.data(), c.tokens, c.width, m.out.data(), stream); };
  return [&m, &c, stream] { rms_norm(m.in.data(), m.gain.data(), c.tokens, c.width, 1e-5F, m.out.data(), stream); };
}

nlohmann::ordered_json record_of(const Case& c) {
  const std::string kind = c.kind;
  if (kind == "gate")
    return {{"kind", kind},
            {"tokens", c.tokens},
            {"experts", c.gate.experts},
            {"k", c.gate.k},
            {"score", c.gate.groups == 0 ? "softmax" : "sigmoid_groups"},
            {"groups", c.gate.groups},
            {"top_groups", c.gate.top_groups}};
  if (kind == "order") return {{"kind", kind}, {"tokens", c.tokens}, {"experts", c.gate.experts}, {"k", c.gate.k}};
  if (kind == "permute") return {{"kind", kind}, {"rows", c.tokens * top_k(c.width)}, {"width", c.width}};
  if (kind == "unpermute") return {{"kind", kind}, {"tokens", c.tokens}, {"k", top_k(c.width)}, {"width", c.width}};
  return {{"kind", kind}, {"rows", c.tokens}, {kind == "swiglu" ? "f" : "width", c.width}};
}

double bytes_of(const Case& c) {
  const std::string kind = c.kind;
  if (kind == "gate" || kind == "order") return 4.0 * c.tokens * c.gate.experts;
  if (kind == "rms_norm") return 4.0 * c.tokens * c.width;
  if (kind == "swiglu") return 6.0 * c.tokens * c.width;
  return 4.0 * c.tokens * top_k(c.width) * c.width;
}

}  // namespace

void run_kernels(Bench& bench) {
  std::vector<Case> cases = all_cases();
  shuffle_cases(cases, bench, "kernels");
  on_first_gpu(bench, [&](Gpu& gpu) {
    Memory memory;
    set_up(memory, gpu, bench.options.seed);
    for (const Case& c : cases) {
      if (!has_time(bench)) return;
      const int calls = calls_for(expected_us(0, bytes_of(c)));
      const Repeat repeat{.warm_up = 2, .samples_min = 7, .samples_max = 20, .seconds_max = 0.01, .calls = calls};
      nlohmann::ordered_json record = record_of(c);
      record["launch"] = "graph";
      record["calls"] = calls;
      record["samples_us"] = time_on_gpu(gpu, Launch::graph, repeat, work_of(c, memory, gpu));
      bench.recorder.add(std::move(record));
    }
  });
}

}  // namespace moesim::bench
