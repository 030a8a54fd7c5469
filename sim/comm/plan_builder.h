// Puts a collective plan together from phases, and cuts it into chunks that follow each other through them.
#pragma once

#include <cstdint>
#include <span>

#include "sim/comm/collective.h"

namespace moesim {

// Phase p of chunk k is in round p + k, so that chunks overlap: while one is forwarded, the next arrives. Each piece is
// cut at the same places in every phase, so that what a later phase sends on has come by then.
class PlanBuilder {
 public:
  PlanBuilder(int32_t phases, int32_t chunks, bool keep_content);

  // What `from` sends to `to` in a phase, as one transfer a chunk. What has no bytes or stays where it is does not
  // travel. `passes_on` as in Transfer.
  void add(int32_t phase, int32_t from, int32_t to, std::span<const Piece> pieces, bool passes_on = false);
  void add(int32_t phase, int32_t from, int32_t to, const Piece& piece, bool passes_on = false) {
    add(phase, from, to, {&piece, 1}, passes_on);
  }

  // Leaves out rounds in which nothing travels; one stays at least.
  CollectivePlan take();
  CollectivePlan take_point_to_point();

 private:
  CollectivePlan plan_;
  int32_t chunks_;
  bool keep_content_;
};

// Bytes of a piece that the first `chunks` of `of` chunks carry. Rounds down, and a larger piece never has less.
int64_t bytes_through(Bytes bytes, int32_t chunks, int32_t of);

}  // namespace moesim
