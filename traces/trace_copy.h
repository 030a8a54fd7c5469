// Parts of traces, and several of them together, written as new ones block by block.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "traces/trace_input.h"
#include "traces/trace_writer.h"

namespace moesim {

// Whole numbers in inclusive ranges, as "0-99,200" lists them.
struct NumberRanges {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  bool holds(int64_t number) const;
};
std::optional<NumberRanges> parse_number_ranges(const std::string& text);  // none where the text is malformed

// Which tokens and layers are kept: those for which all that is given holds.
struct TraceSelection {
  std::optional<NumberRanges> tokens = {};  // places in the trace
  std::optional<NumberRanges> requests = {};
  std::optional<NumberRanges> steps = {};
  std::optional<NumberRanges> layers = {};  // by their numbers in the model
  std::optional<int32_t> domain = {};
  int64_t warm_up_steps = 0;  // steps below this number are left out
};

// What is asked for but not recorded, or names a layer that is not there.
std::vector<Fault> check_selection(const TraceSelection& selection, const TraceHead& head);

// The kept part of a trace's head; its tokens are 0, since they are not known yet.
TraceHead selected_head(const TraceHead& head, const TraceSelection& selection);

// The kept tokens and layers of a block; it may have no token.
RoutingTrace selected(const RoutingTrace& block, int64_t first_token, const TraceHead& head,
                      const TraceSelection& selection);

// Puts the tokens of a block after those of a trace, which has the same arrays, or no token yet.
void append_tokens(RoutingTrace& trace, const RoutingTrace& block);

// Where blocks go: an HDF5 file, or an .npz where the path ends so, which is put together in memory.
class TraceSink {
 public:
  TraceSink(const TraceHead& head, const std::string& path);
  void append(const RoutingTrace& block);
  int64_t tokens() const { return tokens_; }
  void finish();  // ConfigError where nothing was appended

 private:
  std::string path_;
  int64_t tokens_ = 0;
  std::unique_ptr<TraceWriter> file_;
  std::unique_ptr<RoutingTrace> memory_;
};

// The head that traces have together: arrays that all of them have, the union of their domains. Throws one ConfigError
// with all in which their shapes differ.
TraceHead merged_head(const std::vector<std::unique_ptr<TraceInput>>& inputs);

// Appends one trace after another. Requests, and steps, of each get numbers above those of the traces before it, so
// that they stay apart and steps do not fall.
void merge_traces(const std::vector<std::unique_ptr<TraceInput>>& inputs, const TraceHead& head, TraceSink& sink);

}  // namespace moesim
