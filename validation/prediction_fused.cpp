// MoE layers of serving engines, which are measured as one.
#include "validation/prediction_parts.h"

namespace moesim {
namespace {

// The rows of each expert where all have alike: the first ones take what is left over.
std::vector<int64_t> balanced_rows(int64_t copies, int32_t experts) {
  std::vector<int64_t> rows(size_t(experts), copies / experts);
  for (size_t expert = 0; expert < size_t(copies % experts); ++expert) ++rows[expert];
  return rows;
}

}  // namespace

std::vector<KernelCost> fused_layer_kernels(const CostModel& cost, const FusedLayerRecord& layer) {
  // Cutlass's take three to four times as long as their weights take to read, even with few tokens: other work than
  // this.
  if (layer.kernel.find("cutlass") != std::string::npos) return {};
  const int64_t copies = layer.tokens * layer.top_k;
  const int64_t f = layer.f / layer.tensor_parallel;
  const std::vector<int64_t> rows = balanced_rows(copies, layer.experts);
  const Gate gate{layer.tokens, 0, layer.experts, layer.top_k};  // no product: the scores are there
  return {kernel_cost(cost, gate), kernel_cost(cost, GroupedGemm{rows, 2 * f, layer.d, layer.precision}),
          kernel_cost(cost, SwiGlu{copies, f}), kernel_cost(cost, GroupedGemm{rows, layer.d, f, layer.precision}),
          kernel_cost(cost, MoveRows{copies, layer.tokens, layer.d, RowPass::unpermute})};
}

}  // namespace moesim
