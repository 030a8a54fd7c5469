// Duplex's co-processing, for a processor in the GPU's memory: everything starts on the GPU, and what has the fewest
// tokens moves to the other as long as the later of both ends earlier. GPU and processor cannot work in one part of the
// memory at once: experts are dealt to its `spaces` in turn, and all experts of one space run on the same processor.
// Copies are not looked at, as all experts are in that memory; a space with one that is not stays with the GPU.

#include <algorithm>
#include <array>
#include <utility>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

// What runs without any prefill: split like everything, or all beside the GPU, as Duplex does.
enum class DecodePlace : uint8_t { split, beside };

constexpr auto enum_names(DecodePlace) {
  return std::to_array<std::pair<DecodePlace, const char*>>(
      {{DecodePlace::split, "split"}, {DecodePlace::beside, "beside"}});
}

struct CoProcessingOptions {
  int32_t spaces = 4;
  DecodePlace decode = DecodePlace::split;
};

template <class Visitor>
void fields(Visitor& v, CoProcessingOptions& o) {
  v.optional(
      "spaces", o.spaces, between(1, 65536),
      "parts of the memory whose experts go to one processor together; with as many as experts each goes by itself");
  v.optional("decode", o.decode,
             "steps without prefill: `split` as others, or `beside`, everything on the processor beside the GPU");
}

struct Space {
  int32_t space = 0;
  int64_t tokens = 0;
  Duration gpu;
  Duration cpu;
  bool can_move = true;
};

// Those that have work, the fewest tokens first.
std::vector<Space> spaces_of(const ExpertScheduleInput& in, int32_t spaces) {
  std::vector<Space> all(std::min(size_t(spaces), size_t(in.experts.empty() ? 0 : in.experts.back().expert) + 1));
  for (size_t i = 0; i < all.size(); ++i) all[i].space = int32_t(i);
  for (const ExpertWork& work : in.experts) {
    Space& space = all[size_t(work.expert % spaces)];
    space.tokens += work.tokens;
    space.gpu += work.gpu;
    space.cpu += work.cpu;
    if (!can_run_beside(in, work)) space.can_move = false;
  }
  std::erase_if(all, [](const Space& space) { return space.tokens == 0; });
  std::sort(all.begin(), all.end(), [](const Space& a, const Space& b) {
    return a.tokens != b.tokens ? a.tokens < b.tokens : a.space < b.space;
  });
  return all;
}

ExpertPlan schedule_co_processing(const ExpertScheduleInput& in, const CoProcessingOptions& options, Rng&) {
  const std::vector<Space> spaces = spaces_of(in, options.spaces);
  const bool everything = options.decode == DecodePlace::beside && !in.has_prefill;
  Duration gpu = in.gpu_busy;
  for (const Space& space : spaces) gpu += space.gpu;
  Duration beside = in.cpu_busy + in.cpu_first;
  std::vector<int32_t> moved;
  Duration later = gpu;
  for (const Space& space : spaces) {
    if (!space.can_move) continue;
    const Duration later_then = std::max(gpu - space.gpu, beside + space.cpu);
    if (!everything && later_then >= later) break;
    gpu = gpu - space.gpu;
    beside += space.cpu;
    later = later_then;
    moved.push_back(space.space);
  }
  ExpertPlan plan = all_on_gpu(in);
  for (PlannedExpert& planned : plan.order) {
    const int32_t space = in.experts[size_t(planned.index)].expert % options.spaces;
    if (std::find(moved.begin(), moved.end(), space) != moved.end()) planned.place = ExpertPlace::cpu;
  }
  ready_first(in, plan.order);
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "co_processing", "the fewest tokens to a processor in the GPU's memory while both end earlier, as Duplex",
    schedule_co_processing);

}  // namespace
}  // namespace moesim
