// Chunked schedule: the tokens of a MoE layer are cut into chunks, and dispatch of one chunk, experts of another and
// combine of a third run at once on streams of their own (PipeMoE; Tutel's adaptive pipelining, MLSys 2023, section 4).
// Whether it pays depends on the SMs that communication takes from the experts, and on the launches it multiplies.

#include "sim/moe/schedule.h"

namespace moesim {
namespace {

struct ChunkedOptions {
  int32_t chunks = 2;
};

template <class Visitor>
void fields(Visitor& v, ChunkedOptions& s) {
  v.optional("chunks", s.chunks, between(1, 64), "pieces that the tokens of a MoE layer are cut into");
}

// The gate sees all tokens at once. Shared experts need only the gate's input, so they fill the compute stream while
// the first chunk travels.
int32_t append_chunks(Schedule& schedule, const ScheduleInput& in, int32_t layer, int32_t chunks, int32_t before) {
  const int32_t gate = append(schedule, {Operation::gate, layer, 0, 1, Lane::compute, {before}});
  std::vector<int32_t> dispatched;
  for (int32_t chunk = 0; chunk < chunks; ++chunk)
    dispatched.push_back(append(schedule, {Operation::dispatch, layer, chunk, chunks, Lane::dispatch, {gate}}));
  if (in.has_shared_experts) append(schedule, {Operation::shared, layer, 0, 1, Lane::compute, {gate}});
  std::vector<int32_t> combined;
  for (int32_t chunk = 0; chunk < chunks; ++chunk) {
    const int32_t experts =
        append(schedule, {Operation::experts, layer, chunk, chunks, Lane::compute, {dispatched[size_t(chunk)]}});
    combined.push_back(append(schedule, {Operation::combine, layer, chunk, chunks, Lane::combine, {experts}}));
  }
  return append(schedule, {Operation::unpermute, layer, 0, 1, Lane::compute, combined});
}

Schedule schedule_chunked(const ScheduleInput& in, const ChunkedOptions& options, Rng&) {
  Schedule schedule;
  int32_t last = -1;
  for (int32_t layer = 0; layer < int32_t(in.layer_is_moe.size()); ++layer) {
    last = append_attention(schedule, in, layer, last);
    last = in.layer_is_moe[size_t(layer)] ? append_chunks(schedule, in, layer, options.chunks, last)
                                          : append_dense(schedule, layer, last);
  }
  append_end(schedule, in, last);
  return schedule;
}

[[maybe_unused]] const bool registered = Registry<SchedulePolicy>::instance().add(
    "chunked", "chunks of tokens whose dispatch, experts and combine overlap", schedule_chunked);

}  // namespace
}  // namespace moesim
