#include "sim/comm/plan_builder.h"

#include <utility>

#include "sim/core/check.h"

namespace moesim {

int64_t bytes_through(Bytes bytes, int32_t chunks, int32_t of) {
  return bytes.count / of * chunks + bytes.count % of * chunks / of;  // no product of large numbers
}

PlanBuilder::PlanBuilder(int32_t phases, int32_t chunks, bool keep_content)
    : chunks_(chunks), keep_content_(keep_content) {
  CHECK(chunks > 0);
  CHECK(phases >= 0);
  plan_.rounds.resize(size_t(phases) + size_t(chunks) - 1);
  if (keep_content) plan_.content.resize(plan_.rounds.size());
}

void PlanBuilder::add(int32_t phase, int32_t from, int32_t to, std::span<const Piece> pieces, bool passes_on) {
  if (from == to) return;
  for (int32_t chunk = 0; chunk < chunks_; ++chunk) {
    Transfer transfer{from, to, {}, passes_on};
    std::vector<Piece> carried;
    for (const Piece& piece : pieces) {
      const int64_t begin = bytes_through(piece.bytes, chunk, chunks_);
      const Bytes bytes{bytes_through(piece.bytes, chunk + 1, chunks_) - begin};
      transfer.bytes += bytes;
      if (!keep_content_ || bytes == Bytes{}) continue;
      carried.push_back(piece);
      carried.back().offset += begin;
      carried.back().bytes = bytes;
    }
    if (transfer.bytes == Bytes{}) continue;
    const size_t round = size_t(phase) + size_t(chunk);
    plan_.rounds[round].push_back(transfer);
    if (keep_content_) plan_.content[round].push_back(std::move(carried));
  }
}

CollectivePlan PlanBuilder::take() {
  std::erase_if(plan_.rounds, [](const auto& round) { return round.empty(); });
  std::erase_if(plan_.content, [](const auto& round) { return round.empty(); });
  if (plan_.rounds.empty()) plan_.rounds.emplace_back();
  if (keep_content_ && plan_.content.empty()) plan_.content.emplace_back();
  return std::move(plan_);
}

CollectivePlan PlanBuilder::take_point_to_point() {
  plan_.point_to_point = true;
  return take();
}

}  // namespace moesim
