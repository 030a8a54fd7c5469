// A recorded trace made ready to be resampled: its documents, and for each token the others of its id in like text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

struct TemplateDocument {
  int64_t first = 0;  // its first token in rows
  int64_t tokens = 0;
  int32_t pool = 0;
};

// Text that may stand for each other: of one domain and one half of the trace, or one tenth where the routing drifts.
// Halves are kept apart so that whoever learns from the first half of a synthetic trace, as placements and tables do,
// is not judged on copies of what was learnt.
struct TemplatePool {
  int32_t domain = 0;
  std::vector<uint32_t> documents;
};

struct TraceTemplates {
  RoutingTrace rows;  // the tokens of each document together; gate, step and rank left out
  std::vector<TemplateDocument> documents;
  std::vector<TemplatePool> pools;
  std::vector<uint32_t> document_of;      // by token
  std::vector<uint32_t> group_of;         // by token: those of the same id in the same pool are a group
  std::vector<uint32_t> first_of_groups;  // into members; one more than there are groups
  std::vector<uint32_t> members;          // tokens by group, and in order within it
  bool drifts = false;                    // within domains; a change of their mixture is none
};

inline std::span<const uint32_t> group_members(const TraceTemplates& templates, uint32_t group) {
  const uint32_t first = templates.first_of_groups[group];
  return {templates.members.data() + first, templates.first_of_groups[group + 1] - first};
}

inline bool ends_document(const TraceTemplates& templates, uint32_t token) {
  return token + 1 == templates.document_of.size() || templates.document_of[token] != templates.document_of[token + 1];
}

// A trace that passes check_trace, of less than 2^32 tokens. Where requests are not recorded it is one document for
// each stretch of a domain; where ids of tokens are not, first choices in the first layer stand for them.
TraceTemplates trace_templates(const RoutingTrace& trace);

// Two parts of a trace with equally many documents of each domain, taken by turns; what is left over is in neither.
// Domains with one document have no part. Both are empty where no domain has two.
struct TraceHalves {
  RoutingTrace fitted;
  RoutingTrace held_out;
};
TraceHalves trace_halves(const TraceTemplates& templates);

}  // namespace moesim
