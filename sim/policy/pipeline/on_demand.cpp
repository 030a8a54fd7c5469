// A layer's weights travel when it is their turn, and nothing is computed meanwhile: what engines do that move weights
// without looking ahead.
#include "sim/moe/offload/pipeline.h"

namespace moesim {
namespace {

PipelinePlan order_on_demand(const PipelineInput& in, const NoOptions&, Rng&) {
  PipelineWriter plan(in, 1, 1);
  for (int32_t layer = 0; layer < in.layers; ++layer)
    for (int32_t m = 0; m < in.micro_batches; ++m) plan.finish(layer, m);
  return plan.take();
}

[[maybe_unused]] const bool registered =
    Registry<PipelineOrder>::instance().add("on_demand", "weights travel when their layer is due", order_on_demand);

}  // namespace
}  // namespace moesim
