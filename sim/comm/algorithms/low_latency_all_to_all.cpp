// Low-latency all-to-all, as DeepEP's low-latency kernels do it: every pair of ranks at once, nothing forwarded, each
// token a message of its own that the GPU posts to the NIC.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

struct LowLatencyOptions {
  Bytes message;
  Duration post;
  bool nvlink = true;  // since DeepEP's pull request 173, May 2025
};

template <class Visitor>
void fields(Visitor& v, LowLatencyOptions& s) {
  v.optional("message", s.message, between(Bytes{}, Bytes{int64_t{1} << 40}),
             "what two ranks have for each other goes in messages of this size, as a token; 0 B: in one");
  v.optional("post", s.post, between(Duration{}, 1_s),
             "of each message, at its sender, one after another before the first byte; beside the stack's `send`");
  v.optional("nvlink", s.nvlink,
             "GPUs of a server use NVLink; without it all pairs talk through their NICs, as in DeepEP's first kernels");
}

CollectivePlan all_to_all_low_latency(const AllToAllInput& in, const LowLatencyOptions& options, Rng&) {
  CHECK(in.bytes.size() == size_t(in.ranks) * size_t(in.ranks));
  PlanBuilder builder(1, 1, in.keep_content);
  for (int32_t from = 0; from < in.ranks; ++from)
    for (int32_t shift = 1; shift < in.ranks; ++shift) {
      const int32_t to = (from + shift) % in.ranks;
      builder.add(0, from, to, {from, to, 0, in.bytes[size_t(from) * size_t(in.ranks) + size_t(to)]});
    }
  CollectivePlan plan = builder.take();
  plan.message_max = options.message;
  plan.message_send = options.post;
  plan.by_nic = !options.nvlink;
  return plan;
}

[[maybe_unused]] const bool registered = Registry<AllToAllAlgorithm>::instance().add(
    "low_latency", "every pair at once in messages of one token (DeepEP's low-latency kernels)",
    all_to_all_low_latency);

}  // namespace
}  // namespace moesim
