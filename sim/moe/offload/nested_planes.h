// Weights in nested bit planes: an expert's base plane holds its weights in few bits, and each plane more makes them
// finer, so that one copy serves every width. A layer's tokens need different widths of the same experts; planes are
// loaded one after another, and tokens are computed as soon as all planes that they need are there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/units.h"
#include "sim/moe/offload/cache.h"

namespace moesim {

// Bits of each plane, base first, for widths that rise: 2, 3 and 4 bits are planes of 2, 1 and 1.
std::vector<double> planes_of(std::span<const double> widths);

// The fewest planes, from the base, that have as many bits. CHECKs that all together have.
int32_t planes_for(double bits, std::span<const double> plane_bits);

// What the tokens of one layer need.
struct PlaneDemand {
  int32_t planes = 0;                 // of an expert
  std::span<const int64_t> tokens;    // [expert * planes + plane] whose finest plane this is
  std::span<const int32_t> resident;  // [expert] planes that are there, from the base; empty: none
  std::span<const Duration> load;     // [plane] on the bus
  std::span<const Duration> token;    // [plane] of one token computed with the planes up to this

  int32_t experts() const { return int32_t(tokens.size()) / planes; }
};

struct ExpertPlane {
  int32_t expert = 0;
  int32_t plane = 0;
  friend bool operator==(ExpertPlane, ExpertPlane) = default;
};

// D2MoE's order, hottest expert and bits first: among the lowest missing planes of the experts the one that completes
// most tokens is loaded next, and of equals that of the lowest expert.
// Where all planes load equally fast, tokens take equally long with any of them, and no plane completes more tokens
// than the one below it, no order is faster: it is then Johnson's for two machines. Else it may be slower than others,
// since a plane that completes few tokens hides one behind it that completes many.
std::vector<ExpertPlane> hottest_planes_first(const PlaneDemand& demand);

// Expert after expert, each with all its planes.
std::vector<ExpertPlane> planes_by_expert(const PlaneDemand& demand);

struct PlaneTimes {
  Duration load;      // of all planes
  Duration compute;   // of all tokens
  Duration waiting;   // of the GPU for planes
  Duration makespan;  // compute and waiting: what the order is judged by
};

// CHECKs that the order has each missing plane that a token needs once, none before one below it, and no others.
PlaneTimes plane_times(const PlaneDemand& demand, std::span<const ExpertPlane> order);

struct ItemPlane {
  ExpertItem item = kNoItem;
  int32_t plane = 0;
  friend bool operator==(ItemPlane, ItemPlane) = default;
};

// Who leaves, in order, so that at least `bytes` are free while `layer` runs; all but this layer's planes where that is
// not enough. The layer that ran last goes first, as its turn is farthest away, then the one before it; of a layer the
// finest planes of all its experts go first and base planes last. `resident` is [item] planes, as in PlaneDemand.
std::vector<ItemPlane> planes_to_evict(std::span<const int32_t> resident, int32_t experts, int32_t layer, Bytes bytes,
                                       std::span<const Bytes> plane_bytes);

}  // namespace moesim
