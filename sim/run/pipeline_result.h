// What a pipeline of streamed weights did in a run.
#pragma once

#include <cstdint>
#include <string>

#include "sim/config/fields.h"

namespace moesim {

// Of a step, mean over steps.
struct PipelineResult {
  std::string order;
  std::string attention;
  int32_t micro_batches = 0;
  int64_t weights_bytes = 0;
  int64_t cache_in_bytes = 0;
  int64_t activations_in_bytes = 0;
  int64_t cache_out_bytes = 0;
  int64_t activations_out_bytes = 0;
  int64_t host_bytes = 0;
  double gpu_s = 0;
  double bus_in_s = 0;
  double bus_out_s = 0;
  double cpu_s = 0;
  std::string busiest;
};

template <class Visitor>
void fields(Visitor& v, PipelineResult& s) {
  const auto bytes = at_least(int64_t{0});
  const auto time = at_least(0.0);
  v.required("order", s.order, "in which copies and work were issued");
  v.required("attention", s.attention, "where it ran");
  v.required("micro_batches", s.micro_batches, at_least(1), "that the requests were computed in");
  v.required("weights_bytes", s.weights_bytes, bytes, "weights that travel to the GPU in a step, B");
  v.required("cache_in_bytes", s.cache_in_bytes, bytes, "keys and values that travel to the GPU, B");
  v.required("activations_in_bytes", s.activations_in_bytes, bytes, "results of attention that travel to the GPU, B");
  v.required("cache_out_bytes", s.cache_out_bytes, bytes, "new keys and values that travel to the host, B");
  v.required("activations_out_bytes", s.activations_out_bytes, bytes, "queries that travel to the host, B");
  v.required("host_bytes", s.host_bytes, bytes, "weights, keys and values in the host's memory, B");
  v.required("gpu_s", s.gpu_s, time, "work of the GPU in a step, s");
  v.required("bus_in_s", s.bus_in_s, time, "bytes to the GPU over the bus's rate, s");
  v.required("bus_out_s", s.bus_out_s, time, "bytes to the host over the bus's rate, s");
  v.required("cpu_s", s.cpu_s, time, "work of the CPU in a step, s");
  v.required("busiest", s.busiest, "which of these four is the most: no order can make a step shorter");
}

}  // namespace moesim
