// A trace in any format as one to walk through in blocks: HDF5 from its file, .npz from memory.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "traces/trace_reader.h"

namespace moesim {

// The tokens of a range as a trace of their own.
RoutingTrace tokens_of(const RoutingTrace& trace, TokenRange range);

class TraceInput {
 public:
  explicit TraceInput(const std::string& path);
  explicit TraceInput(RoutingTrace trace, std::string source);

  const TraceHead& head() const { return head_; }
  const std::string& source() const { return source_; }

  using Use = std::function<void(const RoutingTrace& block, int64_t first_token)>;
  void for_each_block(const TraceParts& parts, const Use& use);

  // Called after each block with the share of the walk that is done; it may throw to stop.
  std::function<void(double)> progress = [](double) {};

 private:
  std::string source_;
  TraceHead head_;
  std::unique_ptr<TraceReader> file_;  // one of the two
  std::unique_ptr<RoutingTrace> memory_;
};

}  // namespace moesim
