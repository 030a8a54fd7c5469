#include "validation/prediction.h"

#include <algorithm>
#include <array>

#include "models/cpu_cost.h"
#include "validation/prediction_parts.h"

namespace moesim {
namespace {

std::vector<Predicted> all(Duration time) { return {{"all", us_of(time)}}; }

std::vector<Predicted> one_kernel(const PredictionModel& model, Launch launch, const KernelCost& cost) {
  return all(run_kernels(model, launch, model.world, std::array{cost}));
}

std::vector<Predicted> predict_attention(const PredictionModel& model, const AttentionRecord& a, Launch launch) {
  const std::vector<RequestLength> requests(size_t(a.batch), {a.q, a.kv - a.q});
  Attention attention;
  attention.requests = requests;
  attention.heads = a.heads;
  attention.kv_heads = a.kv_heads;
  attention.qk_dim = a.qk_dim;
  attention.v_dim = a.v_dim;
  attention.values_are_keys = a.values_are_keys;
  return one_kernel(model, launch, kernel_cost(cost_model_of(model), attention));
}

// The passes that operations of a step are made of, by the names of both benchmarks. Others are not predicted.
std::optional<KernelCost> pass_cost(CostModel cost, const PassRecord& pass) {
  const int64_t values = pass.rows * pass.width;
  const auto move = [&](int64_t read, RowPass how) {
    return kernel_cost(cost, MoveRows{read, pass.rows, pass.width, how});
  };
  if (pass.op == "permute") return move(pass.rows, RowPass::permute);
  if (pass.op == "gather_tokens") return move(pass.rows / 8, RowPass::permute);  // each is read eight times
  if (pass.op == "regroup" || pass.op == "gather") return move(pass.rows, RowPass::regroup);
  if (pass.op == "unregroup") return move(pass.rows, RowPass::unregroup);
  if (pass.op == "index_copy") {
    cost.kernels.unregroup = cost.kernels.scatter;
    return move(pass.rows, RowPass::unregroup);
  }
  if (pass.op == "unpermute")
    return kernel_cost(cost, MoveRows{pass.rows * pass.top_k, pass.rows, pass.width, RowPass::unpermute});
  if (pass.op == "swiglu" || pass.op == "silu_mul") return kernel_cost(cost, SwiGlu{pass.rows, pass.width});
  if (pass.op == "rms_norm") {  // alone: a step's norm adds the residual before
    cost.kernels.elementwise = cost.kernels.norm;
    cost.kernels.elementwise.kernels = 1;
    return kernel_cost(cost, ElementWise{values, values});
  }
  // Alone on [tokens, experts] scores; the gate's own GEMM is another record.
  for (const auto& [op, alone] : {std::pair{"softmax", &cost.kernels.softmax}, {"topk", &cost.kernels.top_k}})
    if (pass.op == op && alone->kernels > 0) {
      cost.kernels.elementwise = *alone;
      return kernel_cost(cost, ElementWise{2 * values, 2 * values});
    }
  if (pass.op == "scale_rows" || pass.op == "silu") return kernel_cost(cost, ElementWise{values, values});
  if (pass.op == "add" || pass.op == "mul") return kernel_cost(cost, ElementWise{2 * values, values});
  if (pass.op == "zeros") return kernel_cost(cost, ElementWise{0, values});
  return std::nullopt;
}

// Pageable memory is copied by the CPU first, and copies in both directions share more than their link: profiles have
// no number of either.
const std::optional<CopyParameters>* parameters_of(const CopiesParameters& copies, const CopyRecord& copy) {
  if (!copy.beside.empty()) return nullptr;
  if (copy.from == "host_pinned" && copy.to == "device") return &copies.host_to_device;
  if (copy.from == "device" && copy.to == "host_pinned") return &copies.device_to_host;
  if (copy.from == "device" && copy.to == "device") return &copies.device_to_device;
  if (copy.from == "device" && copy.to == "peer") return &copies.peer;
  return nullptr;
}

std::vector<Predicted> predict_copy(const PredictionModel& model, const CopyRecord& copy) {
  const auto* const parameters = parameters_of(model.profile.copies, copy);
  if (parameters == nullptr || !*parameters) return {};
  return all((*parameters)->latency + transfer_time(Bytes{copy.bytes}, (*parameters)->rate));
}

// Work that runs `first_factor` and `second_factor` times longer while both run; then what is left runs alone.
double beside_each_other(double first_us, double first_factor, double second_us, double second_factor) {
  const double both = std::min(first_us * first_factor, second_us * second_factor);
  return both + std::max(first_us - both / first_factor, second_us - both / second_factor);
}

// From the times of each alone. A collective needs SMs, which a GEMM that fills the GPU does not leave it.
std::vector<Predicted> predict_overlap(const PredictionModel& model, const OverlapRecord& overlap) {
  const InterferenceParameters& factors = model.profile.interference;
  if (overlap.first != "gemm" && overlap.first != "grouped_gemm") return {};
  if (overlap.second == "all_to_all") return {{"all", overlap.first_us + overlap.second_us}};
  const bool is_copy = overlap.second == "copy" || overlap.second == "h2d_copy" || overlap.second == "d2h_copy";
  if (!is_copy) return {};
  return {{"all", beside_each_other(overlap.first_us, factors.gemm_beside_copies, overlap.second_us,
                                    factors.copies_beside_gemm)}};
}

// What the host takes for one launch, and the GPU for one node of a long graph. A hundred additions in place, which
// allocate nothing, say little of what operations of a model take the host.
std::vector<Predicted> predict_launches(const PredictionModel& model, const LaunchRecord& launch, Launch how) {
  const KernelCost kernel = kernel_cost(cost_model_of(model), ElementWise{16, 16});
  if (launch.what == "host_kernel" && model.world == 1) return all(model.profile.host.issue);
  if (launch.what == "graph_node" && launch.calls >= 100) return all(kernel.time);
  if (launch.what != "small_kernel" || how == Launch::eager || launch.calls > 1'000'000) return {};
  return all(Duration{launch.calls * kernel.time.ps});
}

// Profiles know bf16 on AMX, where the CPU has it.
std::vector<Predicted> predict_cpu_expert(const PredictionModel& model, const CpuExpertRecord& expert) {
  if (model.profile.cpu.threads.empty() || expert.precision != Precision::bf16) return {};
  if (!expert.instructions.empty() && expert.instructions != "amx") return {};
  CpuParameters cpu = model.profile.cpu;
  if (!expert.in_cache) cpu.cache = Bytes{};
  return all(cpu_experts_time(cpu, {1, expert.d, expert.f, expert.tokens, expert.threads, expert.precision}));
}

// One overload a kind of record, so that a kind added to Measurement without one does not compile.
struct Predictor {
  const PredictionModel& model;
  const Measurement& measurement;

  CostModel cost() const { return cost_model_of(model); }

  std::vector<Predicted> operator()(const OtherRecord&) const { return {}; }
  std::vector<Predicted> operator()(const GemmRecord& r) const {
    return one_kernel(model, measurement.launch, kernel_cost(cost(), DenseGemm{r.m, r.n, r.k, r.precision}));
  }
  std::vector<Predicted> operator()(const GroupedGemmRecord& r) const {
    CostModel model_of_kernel = cost();
    const KernelParameters& kernels = model.profile.kernels;
    if (r.kernel == "cublas" && kernels.grouped_gemm_library)
      model_of_kernel.kernels.grouped_gemm = *kernels.grouped_gemm_library;
    return one_kernel(model, measurement.launch, kernel_cost(model_of_kernel, GroupedGemm{r.rows, r.n, r.k}));
  }
  std::vector<Predicted> operator()(const AttentionRecord& r) const {
    return predict_attention(model, r, measurement.launch);
  }
  std::vector<Predicted> operator()(const PassRecord& r) const {
    const auto pass = pass_cost(cost(), r);
    return pass ? one_kernel(model, measurement.launch, *pass) : std::vector<Predicted>{};
  }
  std::vector<Predicted> operator()(const CopyRecord& r) const { return predict_copy(model, r); }
  std::vector<Predicted> operator()(const CollectiveRecord& r) const {
    return predict_collective(model, r, measurement.launch);
  }
  std::vector<Predicted> operator()(const LaunchRecord& r) const {
    return predict_launches(model, r, measurement.launch);
  }
  std::vector<Predicted> operator()(const OverlapRecord& r) const { return predict_overlap(model, r); }
  std::vector<Predicted> operator()(const MoeLayerRecord& r) const {
    return predict_layer(model, r, measurement.launch, measurement.times);
  }
  std::vector<Predicted> operator()(const FusedLayerRecord& r) const {
    const auto kernels = fused_layer_kernels(cost(), r);
    if (kernels.empty()) return {};
    return all(run_kernels(model, measurement.launch, model.world, kernels));
  }
  std::vector<Predicted> operator()(const ModelStepRecord& r) const {
    return predict_step(model, r, measurement.times);
  }
  std::vector<Predicted> operator()(const OffloadRecord& r) const {
    return predict_offload(model, r, measurement.times);
  }
  std::vector<Predicted> operator()(const CpuExpertRecord& r) const { return predict_cpu_expert(model, r); }
};

}  // namespace

CostModel cost_model_of(const PredictionModel& model) { return {model.gpu, model.profile.kernels}; }

Duration run_kernels(const PredictionModel& model, Launch launch, int32_t ranks, std::span<const KernelCost> kernels) {
  const HostParameters& host = model.profile.host;
  const bool is_eager = launch == Launch::eager;
  const Duration issue = !is_eager ? Duration{} : ranks > 1 ? host.issue_in_group : host.issue;
  const Duration gap = is_eager ? host.gap : Duration{};
  Duration issued = is_eager ? host.start : Duration{};
  Duration end;
  for (const KernelCost& kernel : kernels)
    for (int32_t each = 0; each < kernel.launches; ++each) {
      issued += issue;
      end = std::max(issued, end) + time_of_launch(kernel.time, kernel.launches, each) + gap;
    }
  return end;
}

std::vector<Predicted> predict(const PredictionModel& model, const Measurement& measurement) {
  return std::visit(Predictor{model, measurement}, measurement.what);
}

}  // namespace moesim
