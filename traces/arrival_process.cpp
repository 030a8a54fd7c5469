#include <cmath>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "traces/arrivals.h"

namespace moesim {

std::vector<double> day_profile() {
  return {0.60, 0.48, 0.42, 0.40, 0.42, 0.48, 0.60, 0.75, 0.90, 1.10, 1.25, 1.40,
          1.52, 1.58, 1.60, 1.58, 1.52, 1.40, 1.25, 1.12, 1.00, 0.93, 0.88, 0.82};
}

void check_fields(const ArrivalOptions& s, const std::function<void(std::string, std::string)>& fault) {
  if (s.process == ArrivalProcess::markov && s.burst_rate * s.burst_share > 1)
    fault("burst_rate", "times burst_share must be at most 1: else the time between bursts would need a negative rate");
  if (s.process == ArrivalProcess::diurnal && std::accumulate(s.profile.begin(), s.profile.end(), 0.0) <= 0)
    fault("profile", "needs at least one rate above 0");
}

double draw_gamma(Rng& rng, double shape) {
  CHECK(shape > 0);
  if (shape < 1) return draw_gamma(rng, shape + 1) * exact_pow(1 - rng.uniform(), 1 / shape);
  const double d = shape - 1.0 / 3.0;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {  // accepts more than 95 % of the rounds
    const double x = rng.normal();
    const double v = (1 + c * x) * (1 + c * x) * (1 + c * x);
    if (v > 0 && exact_log(1 - rng.uniform()) < x * x / 2 + d * (1 - v + exact_log(v))) return d * v;
  }
}

ArrivalClock::ArrivalClock(const ArrivalOptions& options, Rng rng) : options_(options), rng_(rng) {
  if (options_.process == ArrivalProcess::markov) {
    in_burst_ = rng_.uniform() < options_.burst_share;  // as long after its beginning
    const double calm_s = options_.burst_s * (1 - options_.burst_share) / options_.burst_share;
    state_left_s_ = rng_.exponential() * (in_burst_ ? options_.burst_s : calm_s);
  }
  if (options_.process == ArrivalProcess::diurnal)
    profile_mean_ =
        std::accumulate(options_.profile.begin(), options_.profile.end(), 0.0) / double(options_.profile.size());
}

double ArrivalClock::gamma_gap() {
  const double shape = 1 / (options_.variation * options_.variation);
  return draw_gamma(rng_, shape) / (shape * options_.rate);
}

// A Poisson process whose rate changes when the state does: what is left of a unit exponential is used up at the rate
// of each state in turn.
double ArrivalClock::markov_gap() {
  const double share = options_.burst_share;
  const double burst_rate = options_.rate * options_.burst_rate;
  const double calm_rate = options_.rate * (1 - share * options_.burst_rate) / (1 - share);
  double work = rng_.exponential();
  double gap = 0;
  for (;;) {
    const double rate = in_burst_ ? burst_rate : calm_rate;
    if (work <= rate * state_left_s_) {
      const double last = rate > 0 ? work / rate : 0;
      state_left_s_ -= last;
      return gap + last;
    }
    work -= rate * state_left_s_;
    gap += state_left_s_;
    in_burst_ = !in_burst_;
    state_left_s_ = rng_.exponential() * (in_burst_ ? options_.burst_s : options_.burst_s * (1 - share) / share);
  }
}

// When a Poisson process has done so much work, from now on, at the rates of the profile.
double ArrivalClock::after_profile(double work) {
  const double parts = double(options_.profile.size());
  const double part_s = options_.period_s / parts;
  double at = now_s_;
  for (;;) {
    const double part = std::floor(at / part_s);
    const double rate = options_.rate * options_.profile[size_t(std::fmod(part, parts))] / profile_mean_;
    const double end = (part + 1) * part_s;
    if (work < rate * (end - at)) return at + work / rate;
    work -= rate * (end - at);
    at = end > at ? end : std::nextafter(end, end + part_s);
  }
}

double ArrivalClock::next_s() {
  switch (options_.process) {
    case ArrivalProcess::poisson:
      now_s_ += rng_.exponential() / options_.rate;
      break;
    case ArrivalProcess::gamma:
      now_s_ += gamma_gap();
      break;
    case ArrivalProcess::markov:
      now_s_ += markov_gap();
      break;
    case ArrivalProcess::diurnal:
      now_s_ = after_profile(rng_.exponential());
      break;
  }
  return now_s_;
}

}  // namespace moesim
