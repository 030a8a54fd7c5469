#include "sim/moe/operation_cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Rows arrive in order of their source; they are regrouped by expert, computed, and each token's results are summed.
KernelCost experts_with_regrouping(const LlmOnGpu& gpu, const OperationWork& work) {
  const int64_t rows = std::accumulate(work.expert_rows.begin(), work.expert_rows.end(), int64_t{0});
  const int64_t hidden = gpu.llm.hidden;
  const int64_t received = work.received_copies;
  return in_sequence(std::array{kernel_cost(gpu.cost, MoveRows{received, rows, hidden, RowPass::regroup}),
                                experts_cost(gpu, work.expert_rows),
                                kernel_cost(gpu.cost, MoveRows{rows, received, hidden, RowPass::unregroup})});
}

KernelCost kernels_of(const StepModel& model, Operation operation, const OperationWork& work) {
  const LlmOnGpu sharded{model.gpu, model.llm, model.precision, model.layout.tp};
  const LlmOnGpu whole{model.gpu, model.llm, model.precision, 1};
  const int64_t hidden = model.llm.hidden;
  switch (operation) {
    case Operation::attention:
      return attention_costs(sharded, work.layer, work.requests).total();
    case Operation::lm_head:
      return lm_head_cost(sharded, int64_t(work.requests.size()));  // each request's last token
    case Operation::gate:
      return in_sequence(std::array{
          gate_cost(whole, work.held_tokens),
          kernel_cost(model.gpu,
                      MoveRows{work.held_tokens, work.held_tokens * model.llm.top_k, hidden, RowPass::permute})});
    case Operation::experts:
      if (model.layout.ep == 1 && !model.gpu.kernels.regroup_alone) return experts_cost(whole, work.expert_rows);
      return experts_with_regrouping(whole, work);
    case Operation::unpermute:
      return kernel_cost(model.gpu, MoveRows{work.sent_copies, work.held_tokens, hidden, RowPass::unpermute});
    case Operation::shared:  // LongCat-Flash has dense feed-forwards beside its experts instead of shared ones
      if (model.llm.shared_experts == 0) return dense_ffn_cost(whole, work.layer, work.held_tokens);
      return shared_experts_cost(whole, work.held_tokens);
    case Operation::dense:
      return dense_ffn_cost(whole, work.layer, work.held_tokens);
    case Operation::predict:
      return kernel_cost(model.gpu, ElementWise{work.lookups, new_tokens(work.requests)});
    case Operation::coherence:
    case Operation::tp:
    case Operation::dispatch:
    case Operation::combine:
    case Operation::migration:
    case Operation::copy:
    case Operation::cpu_attention:
      break;
  }
  CHECK(!is_communication(operation) && !is_on_cpu(operation));
  return {};
}

bool has_nothing_to_do(Operation operation, const OperationWork& work) {
  if (operation == Operation::attention || operation == Operation::lm_head) return work.requests.empty();
  if (operation == Operation::experts) return work.received_copies == 0;
  if (operation == Operation::predict) return work.lookups == 0;
  return work.held_tokens == 0;
}

}  // namespace

OperationCost operation_cost(const StepModel& model, Operation operation, const OperationWork& work) {
  if (has_nothing_to_do(operation, work)) return {};
  const KernelCost cost = kernels_of(model, operation, work);
  const double sms = std::ceil(cost.sm_fraction * model.gpu.gpu.sms);
  return {cost.time, std::clamp(int32_t(sms), 1, model.gpu.gpu.sms), cost.launches};
}

}  // namespace moesim
