#include "traces/document_supply.h"

#include <algorithm>
#include <map>

#include "sim/core/check.h"

namespace moesim {
namespace {

std::vector<double> tokens_by_domain(const std::vector<TraceDocument>& documents) {
  std::map<int32_t, double> tokens;
  for (const TraceDocument& document : documents) tokens[document.domain] += double(document.tokens);
  std::vector<double> weights;
  for (const auto& [domain, weight] : tokens) weights.push_back(weight);
  return weights;
}

}  // namespace

DocumentSupply::DocumentSupply(std::vector<TraceDocument> documents)
    : documents_(std::move(documents)), mixture_(tokens_by_domain(documents_)) {
  std::map<int32_t, Domain> domains;
  for (size_t number = 0; number < documents_.size(); ++number) {
    const TraceDocument& document = documents_[number];
    CHECK(document.tokens > 0);
    Domain& domain = domains[document.domain];
    domain.number = document.domain;
    domain.tokens += document.tokens;
    place_.push_back(domain.documents.size());
    domain.documents.push_back(int64_t(number));
  }
  for (auto& [number, domain] : domains) domains_.push_back(std::move(domain));
}

const DocumentSupply::Domain& DocumentSupply::domain_of(int32_t number) const {
  const auto found = std::lower_bound(domains_.begin(), domains_.end(), number,
                                      [](const Domain& domain, int32_t wanted) { return domain.number < wanted; });
  CHECK(found != domains_.end() && found->number == number);
  return *found;
}

void DocumentSupply::assign(TimedRequest& request, Rng& rng) {
  Domain& domain = domains_[mixture_.draw(rng)];
  request.domain = domain.number;
  request.document = domain.documents[domain.next];
  // Whole rounds through the domain end where they began.
  int64_t left = (request.prompt_tokens + request.output_tokens) % domain.tokens;
  while (left > 0) {
    left -= documents_[size_t(domain.documents[domain.next])].tokens;
    domain.next = (domain.next + 1) % domain.documents.size();
  }
}

std::vector<TokenRange> DocumentSupply::tokens_of(const TimedRequest& request) const {
  const Domain& domain = domain_of(request.domain);
  std::vector<TokenRange> ranges;
  int64_t left = request.prompt_tokens + request.output_tokens;
  for (size_t place = place_[size_t(request.document)]; left > 0; place = (place + 1) % domain.documents.size())
    for (TokenRange stretch : documents_[size_t(domain.documents[place])].stretches) {
      stretch.count = std::min(stretch.count, left);
      if (stretch.count > 0) ranges.push_back(stretch);
      left -= stretch.count;
    }
  return ranges;
}

}  // namespace moesim
