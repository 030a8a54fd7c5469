#include "traces/trace_reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "traces/trace_frames.h"
#include "traces/trace_server.h"

namespace moesim {
namespace {

constexpr int64_t kBlockChoices = int64_t{1} << 20;

int64_t block_tokens_of(const TraceHead& head) {
  const int64_t row = head.about.layers * head.about.top_k;
  const int64_t chunk = std::min(head.chunk_tokens, std::max<int64_t>(1, 16 * kBlockChoices / row));
  return std::min(head.about.tokens, chunk * std::max<int64_t>(1, kBlockChoices / row / chunk));
}

[[noreturn]] void damaged(const std::string& path, const std::string& how) {
  throw ConfigError(path, fmt::format("the file is damaged or hostile: the process that read it {}",
                                      how.empty() ? "sent what no trace is" : how));
}

// The counts of a whole trace for a block of its tokens, so that it can be checked like one.
RoutingTrace block_of(const TraceHead& head, int64_t tokens, RoutingTrace arrays) {
  arrays.tokens = tokens;
  arrays.layers = head.about.layers;
  arrays.top_k = head.about.top_k;
  arrays.experts = head.about.experts;
  arrays.zero_experts = head.about.zero_experts;
  arrays.domains = head.about.domains;
  return arrays;
}

}  // namespace

TraceReader::TraceReader(const std::string& path, const ChildLimits& limits)
    : path_(path), child_(std::make_unique<ChildProcess>(limits, [&](int requests, int replies) {
        serve_trace(path, limits, requests, replies);
      })) {
  ReceivedTrace received = receive_reply(child_->replies(), 0, 0);
  if (!received.done) damaged(path_, child_->end());
  if (received.faults.empty()) received.faults = check_streamed_shape(received.head.about);
  if (!received.faults.empty()) throw ConfigError(path_, received.faults);
  head_ = std::move(received.head);
  block_tokens_ = block_tokens_of(head_);
}

RoutingTrace TraceReader::read(TokenRange range, const TraceParts& parts) {
  const int64_t row = head_.about.layers * head_.about.top_k;
  CHECK(range.first >= 0 && range.count > 0 && range.first + range.count <= head_.about.tokens);
  CHECK(!parts.ids || range.count <= kTraceChoicesMax / row);
  const BlockRequest request{range.first, range.count, parts};
  child_->ask(std::as_bytes(std::span(&request, 1)));  // a child that is gone shows in its reply
  ReceivedTrace received = receive_reply(child_->replies(), range.count, range.count * row);
  if (!received.done) damaged(path_, child_->end());
  if (!received.faults.empty()) throw ConfigError(path_, received.faults);

  RoutingTrace block = block_of(head_, range.count, std::move(received.trace));
  std::vector<Fault> faults = check_block(block, parts.ids, range.first);
  const bool gate_is_right = block.gate.empty() == !(parts.gate && head_.gate != GateWidth::none);
  bool columns_are_right = true;
  for (size_t column = 0; column < kTraceColumns; ++column)
    columns_are_right &= columns(block)[column].values->empty() == !(parts.columns[column] && head_.has[column]);
  if (!gate_is_right || !columns_are_right) damaged(path_, "");
  if (!faults.empty()) throw ConfigError(path_, faults);
  return block;
}

void TraceReader::index_steps() {
  if (!last_step_of_block_.empty()) return;
  if (!has_column(head_, "step")) throw ConfigError(path_, "/step is not recorded, so no step can be found");
  int32_t last = 0;
  for_each_block(*this, only_column("step"), [&](const RoutingTrace& block, int64_t first_token) {
    for (size_t i = 0; i < block.step.size(); ++i) {
      if (block.step[i] < last)
        throw ConfigError(path_,
                          fmt::format("/step: token {} is of step {}, but one before it is of step {}: the steps "
                                      "must not fall",
                                      first_token + int64_t(i), block.step[i], last));
      last = block.step[i];
    }
    last_step_of_block_.push_back(last);
  });
}

int64_t TraceReader::first_token_from(int32_t step) {
  const auto found = std::lower_bound(last_step_of_block_.begin(), last_step_of_block_.end(), step);
  if (found == last_step_of_block_.end()) return head_.about.tokens;
  const int64_t first = (found - last_step_of_block_.begin()) * block_tokens_;
  const RoutingTrace block = read({first, std::min(block_tokens_, head_.about.tokens - first)}, only_column("step"));
  return first + (std::lower_bound(block.step.begin(), block.step.end(), step) - block.step.begin());
}

std::optional<TokenRange> TraceReader::tokens_of_step(int32_t step) {
  index_steps();
  const int64_t first = first_token_from(step);
  const int64_t end = step == INT32_MAX ? head_.about.tokens : first_token_from(step + 1);
  return first == end ? std::nullopt : std::optional(TokenRange{first, end - first});
}

void for_each_block(TraceReader& reader, const TraceParts& parts,
                    const std::function<void(const RoutingTrace& block, int64_t first_token)>& use) {
  const int64_t tokens = reader.head().about.tokens;
  for (int64_t first = 0; first < tokens; first += reader.block_tokens())
    use(reader.read({first, std::min(reader.block_tokens(), tokens - first)}, parts), first);
}

}  // namespace moesim
