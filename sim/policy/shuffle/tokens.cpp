// Tokens of each layer to the GPUs that host most of their predicted experts, in the tensor-parallel group that has
// just computed their attention: its reduce-scatter hands them out in another order, and the next all-gather puts them
// back (Speculative MoE, arXiv 2503.04398, attention-TP).

#include "sim/moe/shuffle.h"
#include "sim/policy/shuffle/balanced_assignment.h"

namespace moesim {
namespace {

// With equal shares no GPU waits in the reduce-scatter and the all-gather; 1.1 gains a little more locality than it is
// worth where these take longer than the all-to-alls.
struct TokensOptions {
  double balance = 1;
};

template <class Visitor>
void fields(Visitor& v, TokensOptions& s) {
  v.optional("balance", s.balance, between(1.0, 1024.0), "tokens of the fullest GPU over the mean, at most");
}

std::vector<int32_t> shuffle_tokens(const ShuffleInput& in, const TokensOptions& options, Rng&) {
  return assign_alike({in.ranks, in.score, in.weight, options.balance});
}

[[maybe_unused]] const bool registered = Registry<ShufflePolicy>::instance().add(
    "tokens", "tokens of each layer to the GPUs of their predicted experts, within a balance", shuffle_tokens,
    {ShuffleUnit::tokens});

}  // namespace
}  // namespace moesim
