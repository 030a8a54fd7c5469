// Reads a trace in HDF5 block by block, so that it may be larger than memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "traces/child_process.h"
#include "traces/statistics.h"
#include "traces/trace_head.h"

namespace moesim {

// HDF5's parser can be crashed by a crafted file, so the file is opened, parsed and inflated in a child process with
// limits, which lives as long as the reader and sends the arrays that it is asked for. Each block is checked here as
// check_trace checks a whole trace. Memory is that of the block, and of a few chunks of the file in the child.
// All functions throw ConfigError for what is wrong with the file, a crash of the child included.
class TraceReader {
 public:
  explicit TraceReader(const std::string& path, const ChildLimits& limits = {});

  const TraceHead& head() const { return head_; }

  // Whole chunks of about 2^20 choices: what is best read at once.
  int64_t block_tokens() const { return block_tokens_; }

  // Those tokens as a trace of their own. At most kTraceChoicesMax choices.
  RoutingTrace read(TokenRange range, const TraceParts& parts);

  // The tokens of one step of the engine; none for a step that is not there. The first call reads /step once and
  // keeps one number for every block. Steps must not fall from a token to the next.
  std::optional<TokenRange> tokens_of_step(int32_t step);

 private:
  void index_steps();
  int64_t first_token_from(int32_t step);  // the first token whose step is that or later

  std::string path_;
  std::unique_ptr<ChildProcess> child_;
  TraceHead head_;
  int64_t block_tokens_ = 1;
  std::vector<int32_t> last_step_of_block_;  // empty until index_steps()
};

// Blocks from the first token to the last. `use` may throw to stop.
void for_each_block(TraceReader& reader, const TraceParts& parts,
                    const std::function<void(const RoutingTrace& block, int64_t first_token)>& use);

}  // namespace moesim
