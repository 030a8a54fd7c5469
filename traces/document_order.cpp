#include "traces/document_order.h"

#include <algorithm>
#include <map>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr int64_t kWindows = 10;

}  // namespace

DocumentOrder::DocumentOrder(const TraceTemplates& templates, int64_t tokens)
    : templates_(templates), tokens_(double(tokens)) {
  std::map<int32_t, size_t> place_of;
  for (const TemplatePool& pool : templates.pools) place_of.emplace(pool.domain, 0);
  for (auto& [domain, place] : place_of) {
    place = domains_.size();
    domains_.emplace_back();
  }
  for (uint32_t number = 0; number < templates.documents.size(); ++number) {
    const TemplateDocument& document = templates.documents[number];
    Domain& domain = domains_[place_of.at(templates.pools[size_t(document.pool)].domain)];
    domain.documents.push_back(number);
    domain.ends.push_back((domain.ends.empty() ? 0 : domain.ends.back()) + document.tokens);
  }
  const double recorded = double(templates.rows.tokens);
  for (Domain& domain : domains_) {
    size_t document = 0;
    double before = 0;
    for (int64_t window = 0; window <= kWindows; ++window) {
      const double border = recorded * double(window) / double(kWindows);
      const auto end_of = [&](size_t place) {
        const TemplateDocument& at = templates.documents[domain.documents[place]];
        return double(at.first + at.tokens);
      };
      for (; document < domain.documents.size() && end_of(document) <= border; ++document)
        before = double(domain.ends[document]);
      double part = 0;
      if (document < domain.documents.size())
        part = std::max(0.0, border - double(templates.documents[domain.documents[document]].first));
      domain.wanted_at.push_back((before + part) * (tokens_ / recorded));
    }
  }
}

double DocumentOrder::wanted(const Domain& domain, double tokens_done) const {
  const double windows = std::min(double(kWindows), tokens_done / tokens_ * double(kWindows));
  const size_t window = std::min(size_t(windows), size_t(kWindows - 1));
  const double low = domain.wanted_at[window];
  return low + (domain.wanted_at[window + 1] - low) * (windows - double(window));
}

uint32_t DocumentOrder::next(int64_t tokens_done) {
  const double mean_length = double(templates_.rows.tokens) / double(templates_.documents.size());
  Domain* most = nullptr;
  double lack_most = 0;
  for (Domain& domain : domains_) {
    const double lack = wanted(domain, double(tokens_done) + mean_length) - double(domain.made);
    if (most != nullptr && lack <= lack_most) continue;
    most = &domain;
    lack_most = lack;
  }
  CHECK(most != nullptr);
  // The middle of what is to be made decides, so that rounding does not.
  const double scale = double(templates_.rows.tokens) / tokens_;
  const double at = (double(most->made) + 0.5) * scale;
  const auto end = std::upper_bound(most->ends.begin(), most->ends.end() - 1, at,
                                    [](double place, int64_t tokens) { return place < double(tokens); });
  const uint32_t document = most->documents[size_t(end - most->ends.begin())];
  most->made += templates_.documents[document].tokens;
  return document;
}

}  // namespace moesim
