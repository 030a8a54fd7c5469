// How experts are chosen from the scores of a gate, in the ways that models and papers differ: the settings of a
// transformation of recorded scores, and of a generator's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "sim/config/fields.h"

namespace moesim {

enum class Selection { top_k, top_p, grouped, group_limited, expert_choice };

constexpr auto enum_names(Selection) {
  return std::to_array<std::pair<Selection, const char*>>({{Selection::top_k, "top_k"},
                                                           {Selection::top_p, "top_p"},
                                                           {Selection::grouped, "grouped"},
                                                           {Selection::group_limited, "group_limited"},
                                                           {Selection::expert_choice, "expert_choice"}});
}

enum class DropOrder { position, score };

constexpr auto enum_names(DropOrder) {
  return std::to_array<std::pair<DropOrder, const char*>>(
      {{DropOrder::position, "position"}, {DropOrder::score, "score"}});
}

enum class ScoreSource { recorded, synthetic };

constexpr auto enum_names(ScoreSource) {
  return std::to_array<std::pair<ScoreSource, const char*>>(
      {{ScoreSource::recorded, "recorded"}, {ScoreSource::synthetic, "synthetic"}});
}

struct Rerouting {
  Selection selection = Selection::top_k;
  int32_t top_k = 0;
  int32_t baseline = 0;
  double p = 0.4;
  int32_t groups = 8;
  int32_t top_groups = 4;
  int32_t group_best = 2;
  int32_t zero_experts = 0;
  int32_t copy_experts = 0;
  int32_t constant_experts = 0;
  double true_experts = 0;
  double capacity_factor = 0;
  DropOrder drop_order = DropOrder::position;
  int32_t shared_experts = 0;
  double noise = 0;
  int64_t batch_tokens = 4096;
  ScoreSource scores = ScoreSource::recorded;
};

// Experts that compute nothing, of whatever kind.
inline int64_t idle_experts(const Rerouting& s) {
  return int64_t{s.zero_experts} + s.copy_experts + s.constant_experts;
}

template <class Visitor>
void fields(Visitor& v, Rerouting& s) {
  v.optional("selection", s.selection,
             "top_k: those of the highest scores; top_p: as few as their scores together exceed p; grouped: equally "
             "many in each group of experts; group_limited: top_k in the best groups; expert_choice: each expert takes "
             "its best tokens of a batch");
  v.optional("top_k", s.top_k, between(0, 4096),
             "choices of a token (expert_choice: on average), those of zero-computation experts included; 0: as many "
             "as recorded, or as the model makes");
  v.optional("baseline", s.baseline, between(0, 4096),
             "experts a token against which saved work is counted; 0: as top_k");
  v.optional("p", s.p, between(0.0, 1.0), "top_p: the sum of scores that ends the choice");
  v.optional("groups", s.groups, between(1, 65535), "grouped, group_limited: equal, contiguous groups of experts");
  v.optional("top_groups", s.top_groups, between(1, 65535), "group_limited: groups that a token may choose from");
  v.optional("group_best", s.group_best, between(1, 65535),
             "group_limited: best experts of a group whose scores together are the group's");
  v.optional("zero_experts", s.zero_experts, between(0, 65535), "null experts, whose output is zero");
  v.optional("copy_experts", s.copy_experts, between(0, 65535), "identity experts, whose output is their input");
  v.optional("constant_experts", s.constant_experts, between(0, 65535),
             "experts whose output is a learned constant and a share of the input");
  v.optional("true_experts", s.true_experts, between(0.0, 4096.0),
             "experts a token that compute, on average in each layer, where some experts do not; 0: their share of "
             "all experts");
  v.optional("capacity_factor", s.capacity_factor, between(0.0, 65535.0),
             "an expert takes at most this times the mean of its batch, others are dropped; 0: no limit");
  v.optional("drop_order", s.drop_order,
             "who finds room first: position, first choices before second, then tokens in order; score, the highest");
  v.optional("shared_experts", s.shared_experts, between(0, 4096),
             "most chosen experts of each layer that every token goes through instead; the others are renumbered, and "
             "top_k falls by as many");
  v.optional("noise", s.noise, between(0.0, 100.0),
             "deviation of normal noise on the logarithm of scores, which is a softmax gate's logit");
  v.optional("batch_tokens", s.batch_tokens, between(int64_t{1}, int64_t{1} << 24),
             "capacity_factor, expert_choice: tokens that are routed together");
  v.optional("scores", s.scores,
             "synthetic: scores of the experts that were not recorded are made up, below those that were; a trace "
             "without any gets all of them so");
}

inline void check_fields(const Rerouting& s, const std::function<void(std::string, std::string)>& fault) {
  const bool plain = s.selection == Selection::top_k;
  if (idle_experts(s) > 0 && !plain) fault("selection", "must be top_k where some experts compute nothing");
  if (s.true_experts > 0 && idle_experts(s) == 0)
    fault("true_experts",
          "says nothing where all experts compute: give zero_experts, copy_experts or constant_experts");
  if (s.shared_experts > 0 && !plain) fault("shared_experts", "needs the selection top_k");
  if (s.selection == Selection::group_limited && s.top_groups > s.groups)
    fault("top_groups", "must not be more than groups");
  if (s.selection == Selection::expert_choice && s.capacity_factor > 0)
    fault("capacity_factor", "says nothing for expert_choice, where all experts take equally many tokens");
}

// A line for the trace's /recorded: what was done, and whether scores were made up.
std::string about_rerouting(const Rerouting& options);

}  // namespace moesim
