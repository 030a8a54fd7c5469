// A whole expert-parallel MoE layer with given routing: phase by phase and end to end, eager and as a CUDA graph,
// sequential and in chunks that overlap.
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/mpi_ranks.h"
#include "validation/bench/suites/cluster_suites.h"
#include "validation/bench/suites/communication.h"
#include "validation/bench/suites/moe_layer_check.h"
#include "validation/bench/suites/moe_layer_device.h"

namespace moesim::bench {
namespace {

constexpr std::array<LayerShape, 8> models{{{"mixtral-8x7b", 4096, 14336, 8, 2},
                                            {"olmoe-1b-7b", 2048, 1024, 64, 8},
                                            {"qwen3-30b-a3b", 2048, 768, 128, 8},
                                            {"deepseek-v2-lite", 2048, 1408, 64, 6},
                                            {"gpt-oss-120b", 2880, 2880, 128, 4},
                                            {"phi-3.5-moe", 4096, 6400, 16, 2},
                                            {"qwen2-57b-a14b", 3584, 2560, 64, 8},
                                            {"granite-3-moe-3b", 1536, 512, 40, 8}}};
constexpr std::array skews{0.5, 0.0, 1.0};

struct Case {
  LayerShape shape;
  RoutingCase routing;
};

// Each pass has every model; tokens that lie far apart come first, so that a run that is cut short knows both ends.
// The skew changes from case to case; later passes have those that are left.
std::vector<Case> cases_of(int ranks) {
  const std::vector<int> grid{1024, 64, 4096, 16, 256, 8192, 2048, 512, 128, 32};
  const std::vector<int> between{1536, 96, 3072, 24, 384, 6144};
  std::vector<Case> cases;
  const auto append = [&](const std::vector<int>& sizes, size_t pass) {
    for (size_t size = 0; size < sizes.size(); ++size)
      for (size_t model = 0; model < models.size(); ++model)
        cases.push_back(
            {models[model], {ranks, sizes[size], skews[(size + model + pass) % skews.size()], cases.size() + 1}});
  };
  append(grid, 0);
  append(between, 0);
  append(grid, 1);
  append(grid, 2);
  append(between, 1);
  return cases;
}

// How many layers' weights are held, and how many a graph must go through until L2 holds nothing of the first.
struct Rotation {
  int sets = 1;
  int calls = 1;
};

// The least, over ranks, of the bytes of the experts that have tokens.
int64_t bytes_touched(const LayerShape& shape, const Routing& routing) {
  int64_t least = weight_bytes(shape, 1);
  for (int rank = 0; rank < routing.ranks; ++rank) {
    const ChunkExchange plan = plan_exchange(routing, rank, 0, 1);
    int64_t touched = 0;
    for (size_t expert = 0; expert + 1 < plan.offsets.size(); ++expert)
      touched += plan.offsets[expert + 1] > plan.offsets[expert] ? 1 : 0;
    least = std::min(least, touched * 3 * 2 * int64_t(shape.d) * shape.f);
  }
  return std::max<int64_t>(least, 1);
}

// Nothing where the layer does not fit. Rank 0 decides for all.
std::optional<Rotation> rotation_of(const Bench& bench, const Case& c, const Routing& routing) {
  const Gpu& gpu = bench.gpus.front();
  size_t free = 0;
  size_t all = 0;
  check_cuda(cudaSetDevice(gpu.device));
  check_cuda(cudaMemGetInfo(&free, &all));
  int64_t activations = 0;
  for (int rank = 0; rank < routing.ranks; ++rank)
    activations = std::max(activations, activation_bytes(c.shape, routing, rank));
  const int64_t l2_three_times = 3 * int64_t(gpu.properties.l2CacheSize);
  const int64_t needed = (l2_three_times + bytes_touched(c.shape, routing) - 1) / bytes_touched(c.shape, routing);
  const int64_t fit = (int64_t(0.85 * double(free)) - activations) / weight_bytes(c.shape, routing.ranks);
  Rotation rotation;
  rotation.sets = int(std::min<int64_t>(fit, std::clamp<int64_t>(needed, 2, 16)));
  rotation.calls = int(std::clamp<int64_t>(needed, 1, std::max(rotation.sets, 1)));
  broadcast_from_first(&rotation, sizeof rotation);
  if (rotation.sets < 1) return std::nullopt;
  return rotation;
}

struct Measured {
  std::vector<double> samples;
  nlohmann::ordered_json phases = nlohmann::ordered_json::object();
  nlohmann::ordered_json phase_calls = nlohmann::ordered_json::object();
};

// What all timings of one case on one rank share.
struct OnRank {
  Gpu& gpu;
  Rotation rotation;
  std::vector<LayerWeights> weights;
  size_t next = 0;

  const LayerWeights& next_weights() { return weights[next++ % weights.size()]; }
};

// Phases run over what the phases before left, so the layer must have run once.
void time_phases(OnRank& on, MoeLayer& layer, Launch launch, Measured& measured) {
  Gpu& gpu = on.gpu;
  const bool exchanges = gpu.ranks > 1;
  const bool is_short = int64_t(layer.tokens) * layer.shape.k * layer.shape.d * 2 < (16 << 20);
  const auto time = [&](const char* name, int graph_calls, const std::function<void()>& work) {
    const int calls = launch == Launch::graph ? graph_calls : 1;
    const Repeat repeat{.warm_up = 2, .samples_min = 5, .samples_max = 20, .seconds_max = 0.02, .calls = calls};
    measured.phases[name] = time_on_gpu(gpu, launch, repeat, work);
    measured.phase_calls[name] = calls;
  };
  // A graph of one short kernel would be mostly the start of the graph.
  const int calls = is_short ? 8 : 1;
  time("gate", calls, [&] { phase::gate(layer, gpu, on.next_weights()); });
  time("order", calls, [&] { phase::order(layer, gpu); });
  time("permute", calls, [&] { phase::permute(layer, gpu); });
  if (exchanges) time("dispatch", calls, [&] { phase::dispatch(layer, gpu, 0, gpu.stream); });
  if (exchanges) time("regroup", calls, [&] { phase::regroup(layer, gpu, 0); });
  time("experts", on.rotation.calls, [&] { phase::experts(layer, gpu, on.next_weights(), 0); });
  if (exchanges) time("unregroup", calls, [&] { phase::unregroup(layer, gpu, 0); });
  if (exchanges) time("combine", calls, [&] { phase::combine(layer, gpu, 0, gpu.stream); });
  time("unpermute", calls, [&] { phase::unpermute(layer, gpu); });
}

Measured time_layer(OnRank& on, MoeLayer& layer, Launch launch) {
  const int calls = launch == Launch::graph ? on.rotation.calls : 1;
  const Repeat repeat{.warm_up = 3, .samples_min = 9, .samples_max = 40, .seconds_max = 0.06, .calls = calls};
  Measured measured;
  measured.samples = time_on_gpu(on.gpu, launch, repeat, [&] { run_layer(layer, on.gpu, on.next_weights()); });
  if (layer.chunks.size() == 1) time_phases(on, layer, launch, measured);
  return measured;
}

nlohmann::ordered_json record_of(const Case& c, const Routing& routing, int chunks, Launch launch,
                                 const Rotation& rotation, Measured measured) {
  nlohmann::ordered_json record{{"kind", "moe_layer"},
                                {"model", c.shape.model},
                                {"d", c.shape.d},
                                {"f", c.shape.f},
                                {"experts", c.shape.experts},
                                {"k", c.shape.k},
                                {"tokens_per_rank", c.routing.tokens_per_rank},
                                {"skew", c.routing.skew},
                                {"seed", c.routing.seed},
                                {"ranks", c.routing.ranks},
                                {"schedule", chunks > 1 ? "chunked" : "sequential"},
                                {"chunks", chunks},
                                {"kernel", "moesim"},
                                {"launch", name_of(launch)},
                                {"weight_sets", rotation.sets},
                                {"calls", launch == Launch::graph ? rotation.calls : 1},
                                {"counts_src_expert", counts_of(routing)}};
  if (!measured.phases.empty()) {
    record["phases_us"] = std::move(measured.phases);
    record["phase_calls"] = std::move(measured.phase_calls);
  }
  record["samples_us"] = std::move(measured.samples);
  return record;
}

void measure_on(Bench& bench, Gpu& gpu, const Case& c, const Routing& routing, const Rotation& rotation) {
  OnRank on{gpu, rotation, {}, 0};
  for (int set = 0; set < rotation.sets; ++set) on.weights.push_back(make_weights(gpu, c.shape, set));
  for (const int chunks : gpu.ranks > 1 ? std::vector<int>{1, 2, 4} : std::vector<int>{1}) {
    if (chunks > c.routing.tokens_per_rank) continue;
    MoeLayer layer;
    set_up(layer, gpu, c.shape, routing, chunks);
    check_cuda(cudaStreamSynchronize(gpu.stream));
    for (const Launch launch : {Launch::eager, Launch::graph}) {
      Measured measured = time_layer(on, layer, launch);
      if (gpu.rank == 0) bench.recorder.add(record_of(c, routing, chunks, launch, rotation, std::move(measured)));
    }
  }
}

}  // namespace

void run_moe_layer(Bench& bench) {
  if (bench.gpus.empty()) return record_skipped(bench, "moe_layer", "no GPU");
  const int ranks = bench.gpus.front().ranks;
  if (const std::string why = why_not_connected(bench); ranks > 1 && !why.empty())
    return record_skipped(bench, "moe_layer", why);
  check_moe_layer(bench);
  for (const Case& c : cases_of(ranks)) {
    if (!go_on(bench)) return;
    const Routing routing = draw_routing(c.shape, c.routing);
    const std::optional<Rotation> rotation = rotation_of(bench, c, routing);
    if (!rotation) {
      record_skipped(bench, "moe_layer",
                     std::string(c.shape.model) + " with " + std::to_string(c.routing.tokens_per_rank) +
                         " tokens a rank does not fit into memory");
      continue;
    }
    on_every_gpu(bench, [&](Gpu& gpu) { measure_on(bench, gpu, c, routing, *rotation); });
  }
}

}  // namespace moesim::bench
