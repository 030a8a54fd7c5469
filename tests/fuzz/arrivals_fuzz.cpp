// Any bytes are requests in the order of their arrival, or a ConfigError.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "traces/arrivals.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string text(data, data + size);
    const std::vector<moesim::TimedRequest> requests = moesim::parse_arrivals(text, "fuzz");
    for (size_t i = 0; i < requests.size(); ++i) {
      CHECK(requests[i].prompt_tokens >= 0 && requests[i].prompt_tokens <= moesim::kArrivalTokensMax);
      CHECK(requests[i].output_tokens >= 0 && requests[i].output_tokens <= moesim::kArrivalTokensMax);
      CHECK(i == 0 || !(requests[i].arrival < requests[i - 1].arrival));
    }
  } catch (const moesim::ConfigError&) {
  }
  return 0;
}
