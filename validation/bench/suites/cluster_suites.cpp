#include "validation/bench/suites/cluster_suites.h"

#include <stdexcept>

#include "validation/bench/mpi_ranks.h"

namespace moesim::bench {

bool go_on(const Bench& bench) {
  bool answer = !bench.recorder.out_of_time() && !bench.recorder.stopped();
  broadcast_from_first(&answer, sizeof answer);
  return answer;
}

void record_skipped(Bench& bench, const std::string& suite, const std::string& why) {
  if (processes().rank == 0) bench.recorder.add({{"kind", "skipped"}, {"suite", suite}, {"why", why}});
}

void record_check(Bench& bench, const std::string& kernel, const std::string& shape, double error, double bound) {
  bench.recorder.add({{"kind", "check"}, {"kernel", kernel}, {"shape", shape}, {"error", error}, {"bound", bound}});
  if (!(error <= bound))
    throw std::runtime_error(kernel + " (" + shape + ") is off by " + std::to_string(error) + ", more than " +
                             std::to_string(bound));
}

}  // namespace moesim::bench
