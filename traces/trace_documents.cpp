#include "traces/trace_documents.h"

#include <unordered_map>

namespace moesim {

std::vector<TraceDocument> trace_documents(const RoutingTrace& trace) {
  std::vector<TraceDocument> documents;
  std::unordered_map<int32_t, size_t> place_of;  // by request; never iterated
  const std::vector<int32_t>& by = trace.request.empty() ? trace.domain : trace.request;
  size_t place = 0;
  for (int64_t token = 0; token < trace.tokens; ++token) {
    if (token > 0 && (by.empty() || by[size_t(token)] == by[size_t(token - 1)])) {
      ++documents[place].stretches.back().count;
    } else {
      place = documents.size();
      if (!trace.request.empty()) place = place_of.try_emplace(by[size_t(token)], place).first->second;
      if (place == documents.size())
        documents.push_back({trace.domain.empty() ? 0 : trace.domain[size_t(token)], 0, {}});
      documents[place].stretches.push_back({token, 1});
    }
    ++documents[place].tokens;
  }
  return documents;
}

}  // namespace moesim
