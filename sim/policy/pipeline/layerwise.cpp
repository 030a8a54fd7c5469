// Layer by layer, as FlexGen (ICML 2023) does it: all micro-batches go through a layer while the weights of the next
// one travel, and the keys and values of the next micro-batch beside them. FlexGen waits for all of them after each
// micro-batch, so that its weights travel beside the first one alone; `wait` does that. With more than two buffers it
// is a ring of layers, as in SE-MoE.
#include "sim/moe/offload/pipeline.h"

namespace moesim {
namespace {

struct LayerwiseOptions {
  int32_t buffers = 2;
  bool wait = false;
};

template <class Visitor>
void fields(Visitor& v, LayerwiseOptions& s) {
  v.optional("buffers", s.buffers, between(2, 64), "layers of weights that the GPU has room for");
  v.optional("wait", s.wait, "after each micro-batch, for all copies that were issued with it");
}

PipelinePlan order_layerwise(const PipelineInput& in, const LayerwiseOptions& options, Rng&) {
  PipelineWriter plan(in, 1, options.buffers);
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    plan.load_layer(layer + options.buffers - 1);
    for (int32_t m = 0; m < in.micro_batches; ++m) {
      plan.attend(layer, m);
      const int32_t next = m + 1;
      plan.fetch(layer + next / in.micro_batches, next % in.micro_batches);
      plan.finish(layer, m);
      if (options.wait) plan.wait();
    }
  }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<PipelineOrder>::instance().add(
    "layerwise", "the next layer's weights behind the micro-batches of this one", order_layerwise);

}  // namespace
}  // namespace moesim
