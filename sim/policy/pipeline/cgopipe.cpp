// CGOPipe of MoE-Lightning (ASPLOS 2025): the CPU attends for micro-batches that come `ahead` turns later, and the next
// layer's weights travel as one page a micro-batch, between the activations, so that neither waits long for the other.
#include <algorithm>

#include "sim/moe/offload/pipeline.h"

namespace moesim {
namespace {

struct CgopipeOptions {
  int32_t ahead = 2;
};

template <class Visitor>
void fields(Visitor& v, CgopipeOptions& s) {
  v.optional("ahead", s.ahead, between(1, 1024), "micro-batches that attend before the one whose experts are computed");
}

// A page follows the activations of its turn, so that the bus has work while the GPU finishes the last micro-batch,
// which frees the buffer of the next layer but one.
PipelinePlan order_cgopipe(const PipelineInput& in, const CgopipeOptions& options, Rng&) {
  PipelineWriter plan(in, in.micro_batches, 2, true);
  const int32_t ahead = std::min(options.ahead, in.micro_batches);
  for (int32_t m = 0; m < ahead; ++m) plan.attend(0, m);
  for (int32_t layer = 0; layer < in.layers; ++layer)
    for (int32_t m = 0; m < in.micro_batches; ++m) {
      plan.receive(layer, m);
      plan.load(layer + 1, m);
      plan.finish(layer, m);
      const int32_t next = m + ahead;
      plan.attend(layer + next / in.micro_batches, next % in.micro_batches);
    }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<PipelineOrder>::instance().add(
    "cgopipe", "pages of weights between activations, attention micro-batches ahead", order_cgopipe);

}  // namespace
}  // namespace moesim
