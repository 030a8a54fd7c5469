// The part of the machine's description that CUDA knows.
#include "validation/bench/gpus.h"
#include "validation/bench/machine.h"

namespace moesim::bench {
namespace {

std::string version_text(int version, int major_unit, int minor_unit) {
  return std::to_string(version / major_unit) + "." + std::to_string(version % major_unit / minor_unit);
}

std::string nccl_version() {
#ifdef MOESIM_NCCL
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "";
  return version_text(version, 10000, 100) + "." + std::to_string(version % 100);
#else
  return "";
#endif
}

nlohmann::ordered_json state_of(const Gpu& gpu) {
  char address[32] = {};
  check_cuda(cudaDeviceGetPCIBusId(address, sizeof address, gpu.device));
  return gpu_state(address);
}

}  // namespace

nlohmann::ordered_json machine_of(const Bench& bench) {
  nlohmann::ordered_json machine = host_description();
  if (bench.gpus.empty()) return machine;
  const Gpu& first = bench.gpus.front();
  int runtime = 0;
  int driver = 0;
  check_cuda(cudaRuntimeGetVersion(&runtime));
  check_cuda(cudaDriverGetVersion(&driver));
  machine["cuda_runtime"] = version_text(runtime, 1000, 10);
  machine["cuda_driver"] = version_text(driver, 1000, 10);
  const auto cublas = int(cublasLtGetVersion());
  machine["cublas"] = version_text(cublas, 10000, 100) + "." + std::to_string(cublas % 100);
  machine["nccl"] = nccl_version();
  const cudaDeviceProp& properties = first.properties;
  machine["compute_capability"] = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  machine["sms"] = properties.multiProcessorCount;
  machine["gpu_memory_bytes"] = properties.totalGlobalMem;
  machine["l2_bytes"] = properties.l2CacheSize;
  machine["gpus"] = nlohmann::ordered_json::array();
  for (const Gpu& gpu : bench.gpus) machine["gpus"].push_back(state_of(gpu));
  machine["links"] = link_topology();
  return machine;
}

}  // namespace moesim::bench
