// Requests that arrive over time: recorded ones, and ones that are drawn. (A Request of a batch has no time.)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/random.h"
#include "sim/core/units.h"

namespace moesim {

struct TimedRequest {
  Time arrival;  // since the first moment of the recording, or of the process
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  int32_t domain = 0;
  int64_t document = 0;       // the first of a trace's documents that its tokens are routed as
  int64_t cached_prompt = 0;  // prompt tokens in blocks that earlier requests had too, where blocks are recorded
};

// Told apart by the first line: Azure's CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens, or Mooncake's
// JSON lines with timestamp (ms), input_length, output_length and hash_ids, of 512 tokens each. Also gzipped. Requests
// come in the order of their arrival, and the first arrives at 0. Throws one ConfigError with the faults of all lines,
// up to kArrivalFaultsMax of them.
std::vector<TimedRequest> read_arrivals(const std::string& path);
inline constexpr size_t kArrivalFaultsMax = 20;
inline constexpr int64_t kArrivalTokensMax = 100'000'000;  // of a request

// What read_arrivals reads, from memory.
std::vector<TimedRequest> parse_arrivals(const std::string& text, const std::string& source);

enum class ArrivalProcess { poisson, gamma, markov, diurnal };

constexpr auto enum_names(ArrivalProcess) {
  return std::to_array<std::pair<ArrivalProcess, const char*>>({{ArrivalProcess::poisson, "poisson"},
                                                                {ArrivalProcess::gamma, "gamma"},
                                                                {ArrivalProcess::markov, "markov"},
                                                                {ArrivalProcess::diurnal, "diurnal"}});
}

// The rate over a day in parts of an hour, against its mean: a fall to 0.4 at night and a rise to 1.6 in the afternoon.
std::vector<double> day_profile();

struct ArrivalOptions {
  ArrivalProcess process = ArrivalProcess::poisson;
  double rate = 1;
  double variation = 2;
  double burst_rate = 4;
  double burst_share = 0.1;
  double burst_s = 10;
  double period_s = 86400;
  std::vector<double> profile = day_profile();
};

template <class Visitor>
void fields(Visitor& v, ArrivalOptions& s) {
  v.optional("process", s.process, "how requests follow each other");
  v.optional("rate", s.rate, between(1e-6, 1e6), "requests a second, mean over time");
  v.optional("variation", s.variation, between(0.05, 20.0),
             "gamma: deviation of the time between requests over its mean; 1 is poisson");
  v.optional("burst_rate", s.burst_rate, between(1.0, 1e4), "markov: rate in a burst over the mean rate");
  v.optional("burst_share", s.burst_share, between(1e-4, 0.9999), "markov: share of the time that is in bursts");
  v.optional("burst_s", s.burst_s, between(1e-3, 1e6), "markov: mean length of a burst, s");
  v.optional("period_s", s.period_s, between(1e-3, 1e8), "diurnal: length of the period, s");
  v.optional("profile", s.profile, between(0.0, 1e6),
             "diurnal: rates in equal parts of the period, one after another; only their ratios count");
}
void check_fields(const ArrivalOptions& s, const std::function<void(std::string, std::string)>& fault);

// Draws one arrival after another; a process of any length costs no memory.
class ArrivalClock {
 public:
  ArrivalClock(const ArrivalOptions& options, Rng rng);
  double next_s();  // of the next arrival, since the process began

 private:
  double gamma_gap();
  double markov_gap();
  double after_profile(double work);

  ArrivalOptions options_;
  Rng rng_;
  double now_s_ = 0;
  bool in_burst_ = false;
  double state_left_s_ = 0;
  double profile_mean_ = 1;
};

// A standard gamma variable (Marsaglia and Tsang, ACM TOMS 2000), for any shape > 0.
double draw_gamma(Rng& rng, double shape);

}  // namespace moesim
