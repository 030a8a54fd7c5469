#include "sim/moe/traffic.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

using Hosts = std::vector<std::vector<GpuId>>;  // [expert]

struct Tokens {
  int64_t begin = 0;
  int64_t end = 0;
};

Tokens tokens_of_part(const StepRouting& routing, int32_t moe_layer, size_t gpu, int32_t part, int32_t parts) {
  const std::vector<int64_t>& first = routing.first(moe_layer);
  const int64_t held = first[gpu + 1] - first[gpu];
  return {first[gpu] + held * part / parts, first[gpu] + held * (part + 1) / parts};
}

// Deals the tokens of each expert to its copies. What a copy was due and has not had is its credit: the copy with the
// most gets the next token, and of equal ones the first from a place that differs between experts, lest the first
// copies of all experts get the first tokens.
class CopyDealer {
 public:
  explicit CopyDealer(const Hosts& hosts) : first_(first_copies(hosts)) {}

  bool has_copies() const { return first_.back() + 1 > first_.size(); }
  size_t number(size_t expert, size_t copy) const { return first_[expert] + copy; }
  size_t copies() const { return first_.back(); }

  void add_group(ReplicaShares shares) {
    shares_.push_back(std::move(shares));
    credit_.emplace_back(copies(), 0);
  }

  // Which copy a token of this GPU of this group goes to.
  size_t next(size_t group, size_t gpu, size_t expert) {
    const size_t copies = first_[expert + 1] - first_[expert];
    if (copies == 1) return 0;
    const double* const share = shares_[group].of(gpu).data() + first_[expert];
    double* const credit = credit_[group].data() + first_[expert];
    size_t best = copies;
    for (size_t turn = 0; turn < copies; ++turn) {
      const size_t copy = (expert + turn) % copies;
      credit[copy] += share[copy];
      if (share[copy] > 0 && (best == copies || credit[copy] > credit[best] + kEqual)) best = copy;
    }
    credit[best] -= 1;
    return best;
  }

 private:
  static constexpr double kEqual = 1e-9;  // credits closer than this differ by rounding

  std::vector<size_t> first_;
  std::vector<ReplicaShares> shares_;        // [group]; empty where every expert has one copy
  std::vector<std::vector<double>> credit_;  // [group][copy]
};

// [rank][expert] choices of the tokens in one expert-parallel group.
std::vector<std::vector<int64_t>> routed_tokens(const StepRouting& routing, const Layout& layout, int32_t group,
                                                int32_t moe_layer) {
  std::vector<std::vector<int64_t>> routed(size_t(layout.ep), std::vector<int64_t>(size_t(routing.experts), 0));
  for (int32_t rank = 0; rank < layout.ep; ++rank) {
    const Tokens tokens = tokens_of_part(routing, moe_layer, index(layout.gpu_of_expert_rank(group, rank)), 0, 1);
    for (int64_t token = tokens.begin; token < tokens.end; ++token)
      for (const uint16_t expert : routing.choices(moe_layer, token))
        if (expert != kNoExpert) ++routed[size_t(rank)][expert];
  }
  return routed;
}

CopyDealer copy_dealer(const StepRouting& routing, const Hosts& hosts, const Layout& layout, int32_t moe_layer,
                       const CopyRule& rule, Rng& rng) {
  CopyDealer dealer(hosts);
  for (int32_t group = 0; group < layout.expert_groups() && dealer.has_copies(); ++group) {
    std::vector<int32_t> node;
    for (int32_t rank = 0; rank < layout.ep; ++rank)
      node.push_back(layout.node(layout.gpu_of_expert_rank(group, rank)));
    const auto routed = routed_tokens(routing, layout, group, moe_layer);
    const ReplicaInput input{node, hosts, rule.past_load, routed};
    ReplicaShares shares = rule.choice.decide(input, rng);
    check_shares(shares, input);
    dealer.add_group(std::move(shares));
  }
  return dealer;
}

// Rows of a rank, in order of expert: a second copy on the same rank is another slot.
struct Slots {
  std::vector<size_t> slot;    // [copy]
  std::vector<size_t> hosted;  // [rank]
};

Slots slots_of(const Hosts& hosts, int32_t ep) {
  Slots slots{{}, std::vector<size_t>(size_t(ep), 0)};
  for (const std::vector<GpuId>& expert : hosts)
    for (const GpuId host : expert) slots.slot.push_back(slots.hosted[index(host)]++);
  return slots;
}

// Counts the copies of tokens that travel; a second expert on the same GPU or server adds none where one copy serves
// all.
struct CopyCounter {
  CopyCounter(const Layout& of, TokenCopies how, LayerTraffic& counts)
      : layout(of),
        copies(how),
        traffic(counts),
        last_token_to(size_t(of.gpus), -1),
        last_token_to_node(size_t(of.nodes()), -1) {
    traffic.copies.assign(size_t(of.gpus) * size_t(of.gpus), 0);
    traffic.node_copies.assign(size_t(of.gpus) * size_t(of.nodes()), 0);
  }

  void count(int64_t token, size_t from, size_t to) {
    const size_t node = size_t(layout.node(GpuId(to)));
    if (copies == TokenCopies::per_expert || last_token_to[to] != token)
      ++traffic.copies[from * size_t(layout.gpus) + to];
    if (copies == TokenCopies::per_expert || last_token_to_node[node] != token)
      ++traffic.node_copies[from * size_t(layout.nodes()) + node];
    last_token_to[to] = token;
    last_token_to_node[node] = token;
  }

  const Layout& layout;
  TokenCopies copies;
  LayerTraffic& traffic;
  std::vector<int64_t> last_token_to;
  std::vector<int64_t> last_token_to_node;
};

}  // namespace

LayerTraffic layer_traffic(const StepRouting& routing, const Placement& placement, const Layout& layout,
                           TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts, const CopyRule& rule,
                           Rng& rng) {
  if (routing.is_counts()) {
    CHECK(!has_copies(placement) || rule.choice.name() == "even");
    return traffic_of_counts(routing, placement, layout, copies, moe_layer, part, parts);
  }
  const Hosts& hosts = placement.hosts[size_t(moe_layer)];
  const Slots slots = slots_of(hosts, layout.ep);
  CopyDealer dealer = copy_dealer(routing, hosts, layout, moe_layer, rule, rng);
  const size_t gpus = size_t(layout.gpus);
  LayerTraffic traffic;
  CopyCounter counter(layout, copies, traffic);
  LayerTraffic returned;
  CopyCounter return_counter(layout, copies, returned);
  const bool moves_on = !rule.next_gpu.empty();
  for (size_t gpu = 0; gpu < gpus; ++gpu) traffic.rows.emplace_back(slots.hosted[gpu % size_t(layout.ep)], 0);

  int64_t choices = 0;
  for (size_t from = 0; from < gpus; ++from) {
    const int32_t group = layout.expert_group(GpuId(from));
    const size_t from_rank = size_t(layout.expert_rank(GpuId(from)));
    const Tokens tokens = tokens_of_part(routing, moe_layer, from, part, parts);
    // Tokens of other parts are dealt too and not counted, so that the parts add up to the whole.
    const Tokens dealt = dealer.has_copies() ? tokens_of_part(routing, moe_layer, from, 0, 1) : tokens;
    for (int64_t token = dealt.begin; token < dealt.end; ++token) {
      const bool is_of_part = token >= tokens.begin && token < tokens.end;
      for (const uint16_t expert : routing.choices(moe_layer, token)) {
        choices += is_of_part;
        if (expert == kNoExpert) {
          traffic.dropped += is_of_part;
          continue;
        }
        const size_t copy = dealer.next(size_t(group), from_rank, expert);
        if (!is_of_part) continue;
        const GpuId rank = hosts[expert][copy];
        const size_t to = index(layout.gpu_of_expert_rank(group, int32_t(rank)));
        ++traffic.rows[to][slots.slot[dealer.number(expert, copy)]];
        traffic.local += to == from;
        counter.count(token, from, to);
        if (moves_on) return_counter.count(token, size_t(rule.next_gpu[size_t(token)]), to);
      }
    }
  }
  for (const std::vector<int64_t>& rows : traffic.rows)
    traffic.assignments = std::accumulate(rows.begin(), rows.end(), traffic.assignments);
  CHECK(traffic.assignments + traffic.dropped == choices);
  if (moves_on) {
    traffic.combine_copies = std::move(returned.copies);
    traffic.combine_node_copies = std::move(returned.node_copies);
  }
  return traffic;
}

LayerTraffic layer_traffic(const StepRouting& routing, const Placement& placement, const Layout& layout,
                           TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts) {
  static const PolicyChoice<ReplicaPolicy> even("even");
  Rng rng(1);
  return layer_traffic(routing, placement, layout, copies, moe_layer, part, parts, {even, {}, {}}, rng);
}

}  // namespace moesim
