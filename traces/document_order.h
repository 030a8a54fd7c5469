// In which order documents of a recorded trace are imitated.
#pragma once

#include <cstdint>
#include <vector>

#include "traces/trace_templates.h"

namespace moesim {

// Each next document is of the domain that lacks most tokens, so that at every time the mixture of domains is that of
// the same tenth of the recording, and at the end that of the whole but for one document. Documents of a domain come in
// the recorded order; where more tokens are wanted than were recorded, each as often as it takes before the next.
class DocumentOrder {
 public:
  DocumentOrder(const TraceTemplates& templates, int64_t tokens);

  // The recorded document to imitate after so many tokens have been made; `made` counts its tokens.
  uint32_t next(int64_t tokens_done);

 private:
  struct Domain {
    std::vector<uint32_t> documents;
    std::vector<int64_t> ends;      // tokens of the domain up to the end of each
    std::vector<double> wanted_at;  // of the synthetic tokens, at the borders between tenths
    int64_t made = 0;
  };
  double wanted(const Domain& domain, double tokens_done) const;

  const TraceTemplates& templates_;
  double tokens_;
  std::vector<Domain> domains_;
};

}  // namespace moesim
