// Synthetic traces that behave like a recorded one: its rows, put together anew.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/random.h"
#include "traces/document_order.h"
#include "traces/expert_scaling.h"
#include "traces/trace_head.h"
#include "traces/trace_templates.h"

namespace moesim {

// How often a synthetic trace leaves what was recorded.
struct SynthesisRates {
  double jump = 0;  // after a token: goes on behind another token of the same id, in another text of the same pool
  double swap =
      0;  // after a layer: takes the deeper layers from another token of the same id and the same first choice
};

struct SynthesisOptions {
  RoutingShape shape;
  int64_t tokens = 0;
  uint64_t seed = 0;
  SynthesisRates rates;
};

// What was copied and what is new.
struct SynthesisCounts {
  int64_t tokens = 0;
  int64_t pieces = 0;  // of recorded text, one behind the other
  int64_t swaps = 0;
  int64_t new_rows = 0;     // tokens whose layers come from more than one recorded token
  int64_t longest_run = 0;  // tokens of the longest piece of recorded text
};

// The documents follow the recorded ones in domain, length and phases, as DocumentOrder has them. Among places that a
// jump or a document may go to, those used least are taken, so that every recorded row is used nearly equally often.
// Memory does not grow with the tokens.
class TraceSynthesizer {
 public:
  TraceSynthesizer(const TraceTemplates& templates, const SynthesisOptions& options);

  const TraceHead& head() const { return head_; }
  const SynthesisCounts& counts() const { return counts_; }

  // The next tokens, at most that many; a block of none when all are made.
  void next_block(int64_t tokens_max, RoutingTrace& block);

 private:
  void start_document();
  void next_place();
  uint32_t successor_of(uint32_t token);
  uint32_t uses_ahead(uint32_t token) const;
  bool is_overused(uint32_t token);
  uint32_t other_template(uint32_t token, int64_t source_layer, uint16_t first);
  void append_token(RoutingTrace& block);
  void make_row(uint16_t* row);
  void copy_layers(uint32_t from, int64_t first, int64_t end, uint16_t* row);
  void scale_layer(uint32_t from, int64_t layer, uint16_t* chosen);
  int64_t fill_from_group(uint32_t from, int64_t layer, int64_t filled, uint16_t* chosen);
  void fill_by_popularity(int64_t layer, int64_t filled, uint16_t* chosen);
  bool take(uint16_t expert, uint16_t* chosen, int64_t& filled);
  bool turns_after(int64_t layer) const;
  uint64_t gap(double rate);  // events that pass before the next one that happens at that rate

  const TraceTemplates& templates_;
  SynthesisOptions options_;
  ExpertScaling scaling_;
  DocumentOrder order_;
  TraceHead head_;
  SynthesisCounts counts_;
  Rng rng_;
  std::vector<AliasTable> popularity_;  // by layer of the recording; only where choices must be added
  std::vector<uint32_t> uses_;          // by recorded token
  std::vector<double> mean_uses_;       // by pool
  std::vector<double> use_of_one_;      // by pool: 1 / its tokens
  std::vector<uint64_t> chosen_in_;     // by expert: the choice, numbered by choice_, that last took it
  uint64_t choice_ = 0;
  bool scales_ = false;  // else choices are copied as they are

  // The document that is being made.
  int32_t request_ = -1;
  int64_t document_left_ = 0;
  int32_t position_ = 0;
  int32_t pool_ = 0;
  uint32_t like_ = 0;   // the recorded document whose length and phases it has
  uint32_t place_ = 0;  // the recorded token that it is at
  int64_t run_ = 0;     // tokens since it last jumped
  uint64_t to_jump_ = 0;
  uint64_t to_swap_ = 0;
};

}  // namespace moesim
