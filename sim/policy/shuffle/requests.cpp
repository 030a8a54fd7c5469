// Whole requests to the attention ranks that host most of the experts predicted for their tokens, where attention is
// data parallel (Speculative MoE, arXiv 2503.04398, attention-DP).

#include "sim/moe/shuffle.h"
#include "sim/policy/shuffle/balanced_assignment.h"

namespace moesim {
namespace {

struct RequestsOptions {
  double balance = 1.1;
};

template <class Visitor>
void fields(Visitor& v, RequestsOptions& s) {
  v.optional("balance", s.balance, between(1.0, 1024.0),
             "tokens of the fullest rank over the mean, at most, where whole requests allow it");
}

std::vector<int32_t> shuffle_requests(const ShuffleInput& in, const RequestsOptions& options, Rng&) {
  return assign_weighted({in.ranks, in.score, in.weight, options.balance});
}

[[maybe_unused]] const bool registered = Registry<ShufflePolicy>::instance().add(
    "requests", "whole requests to the ranks of their predicted experts, within a balance", shuffle_requests,
    {ShuffleUnit::requests});

}  // namespace
}  // namespace moesim
