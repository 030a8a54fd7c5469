#include "traces/trace_input.h"

#include <algorithm>

#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

constexpr int64_t kBlockTokens = 16384;

}  // namespace

RoutingTrace tokens_of(const RoutingTrace& trace, TokenRange range) {
  RoutingTrace part = head_of(trace).about;
  part.tokens = range.count;
  const auto cut = [&](const auto& from, auto& to, int64_t row) {
    if (!from.empty()) to.assign(from.begin() + range.first * row, from.begin() + (range.first + range.count) * row);
  };
  cut(trace.ids, part.ids, trace.layers * trace.top_k);
  cut(trace.gate, part.gate, trace.layers * trace.top_k);
  for (size_t column = 0; column < kTraceColumns; ++column)
    cut(*columns(trace)[column].values, *columns(part)[column].values, 1);
  return part;
}

TraceInput::TraceInput(const std::string& path) : source_(path) {
  if (is_hdf5(path)) {
    file_ = std::make_unique<TraceReader>(path);
    head_ = file_->head();
  } else {
    memory_ = std::make_unique<RoutingTrace>(read_routing_trace(path));
    head_ = head_of(*memory_);
  }
}

TraceInput::TraceInput(RoutingTrace trace, std::string source)
    : source_(std::move(source)), head_(head_of(trace)), memory_(std::make_unique<RoutingTrace>(std::move(trace))) {}

void TraceInput::for_each_block(const TraceParts& parts, const Use& use) {
  const double all = double(head_.about.tokens);
  const auto then = [&](const RoutingTrace& block, int64_t first) {
    use(block, first);
    progress(double(first + block.tokens) / all);
  };
  if (file_) return moesim::for_each_block(*file_, parts, then);
  for (int64_t first = 0; first < head_.about.tokens; first += kBlockTokens)
    then(tokens_of(*memory_, {first, std::min(kBlockTokens, head_.about.tokens - first)}), first);
}

}  // namespace moesim
