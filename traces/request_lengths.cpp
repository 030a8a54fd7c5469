#include "traces/request_lengths.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

double log_of(int64_t tokens) { return exact_log(double(std::max<int64_t>(1, tokens))); }

int64_t whole_tokens(double log_tokens) {
  return std::clamp<int64_t>(std::llround(exact_exp(std::min(log_tokens, 20.0))), 1, kArrivalTokensMax);
}

}  // namespace

LengthLaw fit_lengths(const std::vector<TimedRequest>& requests) {
  CHECK(!requests.empty());
  const double count = double(requests.size());
  LengthLaw law{0, 0, 0, 0, 0};
  for (const TimedRequest& request : requests) {
    law.prompt_mu += log_of(request.prompt_tokens) / count;
    law.output_mu += log_of(request.output_tokens) / count;
  }
  double prompt_square = 0;
  double output_square = 0;
  double product = 0;
  for (const TimedRequest& request : requests) {
    const double prompt = log_of(request.prompt_tokens) - law.prompt_mu;
    const double output = log_of(request.output_tokens) - law.output_mu;
    prompt_square += prompt * prompt / count;
    output_square += output * output / count;
    product += prompt * output / count;
  }
  law.prompt_sigma = std::sqrt(prompt_square);
  law.output_sigma = std::sqrt(output_square);
  const double both = law.prompt_sigma * law.output_sigma;
  law.correlation = both > 0 ? std::clamp(product / both, -1.0, 1.0) : 0;
  return law;
}

RequestLengths draw_lengths(const LengthLaw& law, Rng& rng) {
  const double first = rng.normal();
  const double second = law.correlation * first + std::sqrt(1 - law.correlation * law.correlation) * rng.normal();
  return {whole_tokens(law.prompt_mu + law.prompt_sigma * first),
          whole_tokens(law.output_mu + law.output_sigma * second)};
}

RequestLengths draw_lengths(const std::vector<TimedRequest>& requests, Rng& rng) {
  const TimedRequest& request = requests[size_t(rng.below(requests.size()))];
  return {request.prompt_tokens, request.output_tokens};
}

}  // namespace moesim
