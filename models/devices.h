// What the data sheet of a device says. How much of it kernels achieve is the cost model's business (cost_model.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "models/provenance.h"
#include "sim/config/fields.h"
#include "sim/core/units.h"

namespace moesim {

// One GPU, or another accelerator that computes in tiles.
struct GpuSpec {
  int32_t format_version = 1;
  std::string name;
  int32_t sms = 0;
  FlopRate bf16;                // dense, accumulated in fp32
  std::optional<FlopRate> fp8;  // absent where the hardware lacks it
  std::optional<FlopRate> int8;
  std::optional<FlopRate> fp4;
  Bytes memory;
  Rate memory_bandwidth;
  std::optional<Rate> scale_up;  // NVLink, xGMI or HCCS, per direction, all links of the GPU together
  std::optional<Rate> pcie;      // per direction
  std::optional<double> tdp_watts;
  Status status = Status::recalled;
  std::string source;
  std::string note;
};

template <class Visitor>
void fields(Visitor& v, GpuSpec& s) {
  v.optional("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "as its vendor calls it");
  v.required("sms", s.sms, between<int32_t>(1, 4096),
             "streaming multiprocessors, or what else runs one tile at a time");
  v.required("bf16", s.bf16, above(FlopRate{0}), "dense bf16 (or fp16) peak, accumulated in fp32");
  v.optional("fp8", s.fp8, above(FlopRate{0}), "dense fp8 peak; absent if the hardware has none");
  v.optional("int8", s.int8, above(FlopRate{0}), "dense int8 peak; absent if the hardware has none");
  v.optional("fp4", s.fp4, above(FlopRate{0}), "dense fp4 peak; absent if the hardware has none");
  v.required("memory", s.memory, above(Bytes{0}), "capacity of the device memory");
  v.required("memory_bandwidth", s.memory_bandwidth, above(Rate{0}), "peak bandwidth of the device memory");
  v.optional("scale_up", s.scale_up, above(Rate{0}), "NVLink or its like, per direction, all links together");
  v.optional("pcie", s.pcie, above(Rate{0}), "PCIe, per direction");
  v.optional("tdp_watts", s.tdp_watts, above(0.0), "thermal design power in watts");
  v.optional("status", s.status, "how sure the numbers are");
  v.required("source", s.source, "where the numbers come from");
  v.optional("note", s.note, "what else to know");
}

// One socket of a host.
struct CpuSpec {
  int32_t format_version = 1;
  std::string name;
  int32_t cores = 0;
  std::string memory_channels;  // "8xDDR4-3200"
  Rate memory_bandwidth;
  std::optional<FlopRate> bf16;
  std::optional<double> tdp_watts;
  Status status = Status::recalled;
  std::string source;
  std::string note;
};

template <class Visitor>
void fields(Visitor& v, CpuSpec& s) {
  v.optional("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "as its vendor calls it");
  v.required("cores", s.cores, between<int32_t>(1, 4096), "physical cores of the socket");
  v.optional("memory_channels", s.memory_channels, "channels and their DRAM, such as \"8xDDR4-3200\"");
  v.required("memory_bandwidth", s.memory_bandwidth, above(Rate{0}), "peak DRAM bandwidth of the socket");
  v.optional("bf16", s.bf16, above(FlopRate{0}), "bf16 peak of its matrix units");
  v.optional("tdp_watts", s.tdp_watts, above(0.0), "thermal design power in watts");
  v.optional("status", s.status, "how sure the numbers are");
  v.required("source", s.source, "where the numbers come from");
  v.optional("note", s.note, "what else to know");
}

struct NicSpec {
  int32_t format_version = 1;
  std::string name;
  Rate rate;  // line rate, per direction
  Duration latency;
  Status status = Status::recalled;
  std::string source;
  std::string note;
};

template <class Visitor>
void fields(Visitor& v, NicSpec& s) {
  v.optional("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "as its vendor calls it");
  v.required("rate", s.rate, above(Rate{0}), "line rate per direction");
  v.required("latency", s.latency, at_least(Duration{}), "one way, from memory to memory through both NICs, no switch");
  v.optional("status", s.status, "how sure the numbers are");
  v.required("source", s.source, "where the numbers come from");
  v.optional("note", s.note, "what else to know");
}

enum class BusKind { pcie, nvlink };

constexpr auto enum_names(BusKind) {
  return std::to_array<std::pair<BusKind, const char*>>({{BusKind::pcie, "pcie"}, {BusKind::nvlink, "nvlink"}});
}

// What connects the devices of one node.
struct LinkSpec {
  int32_t format_version = 1;
  std::string name;
  BusKind kind = BusKind::pcie;
  Rate rate;              // nominal, per direction
  double efficiency = 1;  // payload over nominal rate
  Status status = Status::recalled;
  std::string source;
  std::string note;
};

template <class Visitor>
void fields(Visitor& v, LinkSpec& s) {
  v.optional("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "generation and width");
  v.required("kind", s.kind, "pcie, or nvlink: all NVLinks of one GPU together");
  v.required("rate", s.rate, above(Rate{0}), "nominal rate per direction");
  v.optional("efficiency", s.efficiency, Range<double>{0, 1, true}, "payload over nominal rate");
  v.optional("status", s.status, "how sure the numbers are");
  v.required("source", s.source, "where the numbers come from");
  v.optional("note", s.note, "what else to know");
}

}  // namespace moesim
