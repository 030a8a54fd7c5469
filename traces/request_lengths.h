// How long requests are: drawn like those of a file, or by a law that is fitted to them.
#pragma once

#include <vector>

#include "sim/config/fields.h"
#include "sim/core/random.h"
#include "traces/arrivals.h"

namespace moesim {

// Prompt and output are log-normal, and their logarithms go together as far as `correlation` says. The default is what
// fit_lengths() finds in Azure's conversations of 2023.
struct LengthLaw {
  double prompt_mu = 6.6333;
  double prompt_sigma = 0.9852;
  double output_mu = 5.0190;
  double output_sigma = 0.8590;
  double correlation = 0.0875;
};

template <class Visitor>
void fields(Visitor& v, LengthLaw& s) {
  v.optional("prompt_mu", s.prompt_mu, between(0.0, 18.0), "mean of ln(prompt tokens)");
  v.optional("prompt_sigma", s.prompt_sigma, between(0.0, 10.0), "deviation of ln(prompt tokens)");
  v.optional("output_mu", s.output_mu, between(0.0, 18.0), "mean of ln(output tokens)");
  v.optional("output_sigma", s.output_sigma, between(0.0, 10.0), "deviation of ln(output tokens)");
  v.optional("correlation", s.correlation, between(-1.0, 1.0), "of the two logarithms");
}

// By the means and deviations of the logarithms. Lengths of 0 count as 1.
LengthLaw fit_lengths(const std::vector<TimedRequest>& requests);

struct RequestLengths {
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
};

// Rounded to whole tokens, 1 to kArrivalTokensMax.
RequestLengths draw_lengths(const LengthLaw& law, Rng& rng);

// Those of one of the requests: prompt and output stay together.
RequestLengths draw_lengths(const std::vector<TimedRequest>& requests, Rng& rng);

}  // namespace moesim
