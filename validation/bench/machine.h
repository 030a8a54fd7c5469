// What the file says of the machine: read from programs and files, not from CUDA.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moesim::bench {

// What a command prints on stdout; "" where it cannot be run or fails.
std::string output_of(const std::string& command);

// A line of `nvidia-smi --format=csv,noheader,nounits` as a number for each value that is one, else as text; what
// nvidia-smi does not know ("[N/A]", "[Not Supported]") is left out. `line` may hold fewer values than there are names.
nlohmann::ordered_json values_of_line(std::string_view line, const std::vector<std::string>& names);

// Driver, clocks and limits of the GPU at this PCI address; empty without nvidia-smi.
nlohmann::ordered_json gpu_state(const std::string& pci_address);

// How GPUs and NICs are linked, as nvidia-smi draws it; "" without.
std::string link_topology();

struct CpuDescription {
  std::string model;
  int sockets = 0;
  int cores = 0;    // physical ones
  int threads = 0;  // logical ones, of the whole machine
};
CpuDescription read_cpuinfo(std::string_view cpuinfo);

// CPU, memory, kernel, and how much of it this process may use.
nlohmann::ordered_json host_description();

// A logical CPU each for this process to run on.
int usable_threads();

}  // namespace moesim::bench
