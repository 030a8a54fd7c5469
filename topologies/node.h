// A server: GPUs behind an NVSwitch and PCIe switches, CPU sockets and NICs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/units.h"
#include "topologies/ids.h"

namespace moesim {

struct Topology;

// What a server is made of, in numbers; whoever knows device names has looked them up. All rates are of one
// direction. The defaults are an 8-GPU H100 SXM server (DGX H100).
struct NodeSpec {
  int32_t gpus = 8;
  // NVLink 4: 18 links of 25 GB/s a direction and GPU, NVIDIA H100 data sheet.
  Rate nvlink = 450_GBps;
  // About 1 us from GPU to GPU through the NVSwitch (recalled), half of it a link.
  Duration nvlink_latency = 500_ns;
  // PCIe 5 x16: 64 GB/s on the wire; copies of pinned memory reached 55 GB/s on H100.
  Rate pcie = 55_GBps;
  // A crossing of a PCIe switch takes 100-150 ns (recalled).
  Duration pcie_latency = 150_ns;
  int32_t gpus_per_pcie_switch = 2;
  int32_t nics = 8;
  // ConnectX-7, 400 Gb/s.
  Rate nic = 50_GBps;
  // RDMA takes 2-5 us from host to host (recalled), most of it in the two NICs.
  Duration nic_latency = 1_us;
  int32_t sockets = 2;
  // Three UPI links of 16 GT/s between two Xeon 8480C, 20.8 GB/s each after coding (recalled).
  Rate socket_link = 62_GBps;
  // A read of the other socket's memory takes about 100 ns longer (recalled).
  Duration socket_latency = 100_ns;
  // Eight channels of DDR5-4800 a socket, 38.4 GB/s each.
  Rate dram = 307_GBps;
};

template <class Visitor>
void fields(Visitor& v, NodeSpec& s) {
  const auto latency = between(Duration{}, 1_s);
  v.optional("gpus", s.gpus, between(1, 1024), "GPUs of a server");
  v.optional("nvlink", s.nvlink, at_least(Rate{0}), "NVLink of one GPU, each direction; 0 GB/s where there is none");
  v.optional("nvlink_latency", s.nvlink_latency, latency, "from a GPU to the NVSwitch, or back");
  v.optional("pcie", s.pcie, above(Rate{0}), "PCIe of a GPU, a NIC and a switch's uplink, each direction");
  v.optional("pcie_latency", s.pcie_latency, latency, "of one PCIe link");
  v.optional("gpus_per_pcie_switch", s.gpus_per_pcie_switch, between(1, 1024),
             "GPUs that share a PCIe switch and its uplink to the CPU");
  v.optional("nics", s.nics, between(0, 1024),
             "NICs of a server; GPU g uses NIC g * nics / gpus, which hangs on the PCIe switch of its first GPU");
  v.optional("nic", s.nic, above(Rate{0}), "one NIC, each direction");
  v.optional("nic_latency", s.nic_latency, latency, "from a NIC to its leaf switch, or back");
  v.optional("sockets", s.sockets, between(1, 16), "CPU sockets of a server");
  v.optional("socket_link", s.socket_link, above(Rate{0}), "between each two sockets, each direction");
  v.optional("socket_latency", s.socket_latency, latency, "between two sockets");
  v.optional("dram", s.dram, above(Rate{0}), "memory bandwidth of one socket");
}

// Faults of the spec that no single range can say.
void check_fields(const NodeSpec& spec, const std::function<void(std::string key, std::string message)>& fault);

inline int32_t pcie_switches(const NodeSpec& spec) {
  return (spec.gpus + spec.gpus_per_pcie_switch - 1) / spec.gpus_per_pcie_switch;
}
// What all NICs of a server can send together.
inline Rate nic_rate_of_node(const NodeSpec& spec) { return {double(spec.nics) * spec.nic.bytes_per_s}; }
inline bool has_nvswitch(const NodeSpec& spec) { return spec.nvlink > Rate{0} && spec.gpus > 1; }
int64_t vertices_of_node(const NodeSpec& spec);
int64_t links_of_node(const NodeSpec& spec);  // directed, without the NICs' ports

// Levels of PCIe switches above those that GPUs and NICs hang on. In a plain server there are none, and each switch
// hangs on a socket.
struct PcieTree {
  std::vector<int32_t> fan_out;  // from the bottom up: how many switches share one of the next level
  Rate uplink;                   // of each switch, to the next level or the socket
};

// How many switches there are above the lowest level. Each adds one link, to what is above it.
int64_t upper_pcie_switches(const NodeSpec& spec, const PcieTree& tree);

// Adds server number `node`, with names "node3/gpu0" and so on. Returns its NICs, whose fabric side is still open.
std::vector<VertexId> add_node(Topology& topology, const NodeSpec& spec, int32_t node);
std::vector<VertexId> add_node(Topology& topology, const NodeSpec& spec, int32_t node, const PcieTree& tree);

}  // namespace moesim
