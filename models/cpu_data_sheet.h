// Parameters of CPUs that nobody measured, from the data sheet and from what software reached on other CPUs.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "models/device_profile.h"
#include "models/devices.h"

namespace moesim {

// The widest instructions that the experts' products use.
enum class CpuInstructions { avx2, avx512, amx };

constexpr auto enum_names(CpuInstructions) {
  return std::to_array<std::pair<CpuInstructions, const char*>>(
      {{CpuInstructions::avx2, "avx2"}, {CpuInstructions::avx512, "avx512"}, {CpuInstructions::amx, "amx"}});
}

// So many threads of one socket, a core each; threads beyond the cores bring nothing. All weights come from DRAM: how
// much of the last-level cache they get, no data sheet says.
CpuParameters cpu_of_data_sheet(const CpuSpec& cpu, int32_t threads, CpuInstructions instructions);

}  // namespace moesim
