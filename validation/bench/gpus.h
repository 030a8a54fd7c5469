// Opening and closing the GPUs of this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "validation/bench/bench.h"
#include "validation/bench/meeting.h"
#include "validation/bench/timing.h"

namespace moesim::bench {

// How many GPUs CUDA sees; where it sees none, `why` says why.
int gpus_present(std::string& why);

// Fills bench.gpus, and empties it at the end. Where an error has ended CUDA's context, closing passes over it.
class OpenGpus {
 public:
  OpenGpus(Bench& bench, int gpus);
  ~OpenGpus();
  OpenGpus(const OpenGpus&) = delete;
  OpenGpus& operator=(const OpenGpus&) = delete;

 private:
  void open(int device, int rank, int ranks);

  Bench& bench_;
  Meeting meeting_;
  void* released_ = nullptr;
  std::vector<std::unique_ptr<Timing>> timings_;
};

// The device's name and what the file says of the machine.
nlohmann::ordered_json machine_of(const Bench& bench);

void check_cublas(cublasStatus_t status, std::source_location at = std::source_location::current());

}  // namespace moesim::bench
