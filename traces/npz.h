// Routing traces in .npz, numpy's zip of arrays: imported and exported. Arrays: ids [tokens, layers, k], and where
// there are any gate [tokens, layers, k], token, request (or doc), position, phase, step, rank, domain [tokens],
// and the single numbers experts and zero_experts.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "traces/routing_trace.h"

namespace moesim {

// What a file may be beside an .npz: the model's description that was written with it, as {"experts": 64, "domains":
// ["cxx", "de"]}, and the attributes of the HDF5 format for which an .npz has no place. The reader looks for it at the
// path of the .npz with the ending .json.
struct NpzSidecar {
  int64_t experts = 0;  // 0 where it does not say
  std::vector<std::string> domains{};
  std::string model{};
  std::string source{};
  std::string recorded{};
  std::vector<int32_t> layer_numbers{};  // left alone where there are not as many as layers
};

// Memory grows with what has really been inflated, never with what a header claims, up to the limits of a trace. A
// missing number of experts is taken from the sidecar, else it is the largest id + 1 rounded up to a multiple of 8;
// the trace's notes say so. A missing position counts the earlier tokens of the request.
// Throws ConfigError; `source` is what it calls the file.
RoutingTrace parse_npz_trace(std::span<const std::byte> bytes, const std::string& source, const NpzSidecar& sidecar);

RoutingTrace read_npz_trace(const std::string& path);

// The same without check_trace: for an import, which drops rows that are no routing.
RoutingTrace parse_npz_arrays(std::span<const std::byte> bytes, const std::string& source, const NpzSidecar& sidecar);
RoutingTrace read_npz_arrays(const std::string& path);

// Sets the number of experts from the ids where a file does not say it, and notes it.
void assume_experts(RoutingTrace& trace);

// Deflated, with fixed time stamps: the same trace gives the same bytes (with the same zlib and libzip). The trace
// must pass check_trace; its texts and layer numbers have no place in this format. Throws ConfigError where the file
// cannot be written.
void write_npz_trace(const RoutingTrace& trace, const std::string& path);

}  // namespace moesim
