// Which tokens of a trace the requests of a workload are routed as.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/random.h"
#include "traces/arrivals.h"
#include "traces/trace_documents.h"

namespace moesim {

// Each request takes whole documents of one domain in the order of the trace, as many as it has tokens; the last one is
// cut where the request ends, and the next request of the domain begins with the document after it. Behind a domain's
// last document comes its first. Domains are drawn in proportion to their tokens.
class DocumentSupply {
 public:
  explicit DocumentSupply(std::vector<TraceDocument> documents);  // at least one, none empty

  // Sets the request's domain and first document.
  void assign(TimedRequest& request, Rng& rng);

  // The places of its prompt and output in the trace, in order.
  std::vector<TokenRange> tokens_of(const TimedRequest& request) const;

  const std::vector<TraceDocument>& documents() const { return documents_; }

 private:
  struct Domain {
    int32_t number = 0;
    std::vector<int64_t> documents;
    int64_t tokens = 0;
    size_t next = 0;  // into documents
  };
  const Domain& domain_of(int32_t number) const;

  std::vector<TraceDocument> documents_;
  std::vector<Domain> domains_;  // by number
  std::vector<size_t> place_;    // of each document in its domain
  AliasTable mixture_;
};

}  // namespace moesim
