// What a software stack takes on a device, as measured: the parameters of the cost model, where each comes from, and
// how far off predictions were on measurements that no fit has seen. Made by `moesim calibrate`; models/calibration/
// holds those that moesim brings.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/kernel_parameters.h"
#include "sim/comm/software_stack.h"
#include "sim/config/fields.h"
#include "sim/core/units.h"

namespace moesim {

// Whether the host launches each kernel, or one CUDA graph holds them all.
enum class Launch { graph, eager };

constexpr auto enum_names(Launch) {
  return std::to_array<std::pair<Launch, const char*>>({{Launch::graph, "graph"}, {Launch::eager, "eager"}});
}

// The host's part of eager execution: kernels are issued one after another, and none starts before it was issued. As
// one node of a CUDA graph a kernel costs the host nothing.
struct HostParameters {
  Duration issue;               // of one kernel, in a process of its own
  Duration issue_in_group;      // ... where several ranks run on one host
  Duration issue_collective;    // of one collective
  Duration gap{};               // on the GPU, between kernels that are launched one by one
  Duration start{};             // before the first kernel of what is measured
  Duration routing_in_group{};  // before a MoE layer, where several ranks tell each other how much they will send
  // Of all kernels of one expert in a loop over experts, which takes slices of its weights and waits for its copy.
  // Where nothing is said, of each kernel as of any.
  std::optional<Duration> issue_expert{};
  // Launches take longer where the CPU's part has more threads: issue_expert is at the most that CpuParameters has, and
  // goes by this power of their number.
  double issue_expert_power = 0;
  Duration issue_copy{};  // of one copy of a loop over experts
};

template <class Visitor>
void fields(Visitor& v, HostParameters& s) {
  const auto range = between(Duration{}, 1_s);
  v.optional("issue", s.issue, range, "host time of one kernel launched eagerly, one rank");
  v.optional("issue_in_group", s.issue_in_group, range, "the same where several ranks run");
  v.optional("issue_collective", s.issue_collective, range, "host time of one collective launched eagerly");
  v.optional("gap", s.gap, range, "on the GPU, what a kernel launched eagerly takes longer than as a node of a graph");
  v.optional("start", s.start, range, "host time before the first kernel of a measurement");
  v.optional("routing_in_group", s.routing_in_group, range,
             "host time of each MoE layer beside its kernels, where several ranks run eagerly");
  v.optional("issue_expert", s.issue_expert, range,
             "host time of all kernels of one expert, where experts run one by one; not said: as of other kernels");
  v.optional("issue_expert_power", s.issue_expert_power, between(0.0, 2.0),
             "power of the number of CPU threads by which issue_expert goes, which is at the most that were measured");
  v.optional("issue_copy", s.issue_copy, range, "host time of one copy of an expert");
}

// A copy by a copy engine: latency + bytes / rate. Of copies in a row the first alone has the latency; each takes gap +
// bytes / rate.
struct CopyParameters {
  Duration latency;
  Rate rate{1};
  Duration gap{};
};

template <class Visitor>
void fields(Visitor& v, CopyParameters& s) {
  v.required("latency", s.latency, between(Duration{}, 1_s), "of the shortest copy");
  v.required("rate", s.rate, above(Rate{0}), "of a long one");
  v.optional("gap", s.gap, between(Duration{}, 1_s), "of each of several in a row, beside its bytes");
}

struct CopiesParameters {
  std::optional<CopyParameters> host_to_device;  // from pinned memory
  std::optional<CopyParameters> device_to_host;
  std::optional<CopyParameters> device_to_device;  // bytes moved once, though they are read and written
  std::optional<CopyParameters> peer;
};

template <class Visitor>
void fields(Visitor& v, CopiesParameters& s) {
  v.optional("host_to_device", s.host_to_device, "from pinned memory of the host");
  v.optional("device_to_host", s.device_to_host, "to pinned memory of the host");
  v.optional("device_to_device", s.device_to_device, "within a GPU; bytes count once");
  v.optional("peer", s.peer, "to another GPU over NVLink or PCIe");
}

// What a number of CPU threads reach on experts' products.
struct CpuThreadsParameters {
  int32_t threads = 1;
  Rate memory{1};  // of weights read from DRAM
  Rate cache{1};   // of weights that fit the last-level cache
  FlopRate compute{1};
};

template <class Visitor>
void fields(Visitor& v, CpuThreadsParameters& s) {
  v.required("threads", s.threads, between<int32_t>(1, 4096), "that compute together");
  v.required("memory", s.memory, above(Rate{0}), "rate of weights from DRAM");
  v.required("cache", s.cache, above(Rate{0}), "rate of weights that fit the last-level cache");
  v.required("compute", s.compute, above(FlopRate{0}), "rate of products where many tokens share weights");
}

// Experts computed by the host's CPU: cpu_cost.h has the formula.
struct CpuParameters {
  std::vector<CpuThreadsParameters> threads;  // rising; for others see cpu_threads()
  Bytes cache;                                // as much of all experts' weights comes from the last-level cache
  Duration expert;                            // fixed time of each expert
  Duration wake_up;                           // from the last launch of the GPU's part to the CPU's start
  double beside_copies = 1;                   // times become so many times longer while copies to the GPU run
};

template <class Visitor>
void fields(Visitor& v, CpuParameters& s) {
  v.optional("threads", s.threads, "rates by the number of threads");
  v.optional("cache", s.cache, between(Bytes{}, Bytes{int64_t{1} << 40}),
             "of last level, shared by the experts in use");
  v.optional("expert", s.expert, between(Duration{}, 1_s), "fixed time of each expert");
  v.optional("wake_up", s.wake_up, between(Duration{}, 1_s), "from the end of the launches to the CPU's start");
  v.optional("beside_copies", s.beside_copies, between(1.0, 10.0), "factor on CPU times while copies run");
}

// How much longer work takes beside other work on the same GPU.
struct InterferenceParameters {
  double gemm_beside_copies = 1;
  double copies_beside_gemm = 1;
  double copies_beside_cpu = 1;
};

template <class Visitor>
void fields(Visitor& v, InterferenceParameters& s) {
  v.optional("gemm_beside_copies", s.gemm_beside_copies, between(1.0, 10.0), "factor on GEMMs while copies run");
  v.optional("copies_beside_gemm", s.copies_beside_gemm, between(1.0, 10.0), "factor on copies while GEMMs run");
  v.optional("copies_beside_cpu", s.copies_beside_cpu, between(1.0, 10.0), "factor on copies beside CPU experts");
}

// Absolute relative errors, as fractions, of predictions.
struct ErrorSummary {
  int64_t n = 0;
  double median = 0;
  double p90 = 0;
  double worst = 0;
  double bias = 0;  // median of the signed errors; above 0: predicted too long
};

template <class Visitor>
void fields(Visitor& v, ErrorSummary& s) {
  v.required("n", s.n, at_least<int64_t>(0), "records");
  v.required("median", s.median, at_least(0.0), "median absolute relative error, as a fraction");
  v.required("p90", s.p90, at_least(0.0), "90th percentile of it");
  v.required("worst", s.worst, at_least(0.0), "the largest");
  v.required("bias", s.bias, between(-1e9, 1e9), "median of the signed errors; above 0: predicted too long");
}

// One part of a profile ("kernels/gemm", "host", "copies/host_to_device") and what it rests on.
struct ProfilePart {
  std::string part;
  std::string source;                    // files and kinds of record
  std::string form;                      // in words, as docs/models.md has it
  std::string range;                     // sizes measured; beyond them it extrapolates
  ErrorSummary fit;                      // on the records it was fitted on
  std::optional<ErrorSummary> held_out;  // by cross-validation: each record predicted by a fit that has not seen it
  std::string note;                      // what to beware of: few records, a formula that fits badly
};

template <class Visitor>
void fields(Visitor& v, ProfilePart& s) {
  v.required("part", s.part, "path of the parameters in this file");
  v.required("source", s.source, "files and kinds of records that it was fitted on, or where it was taken from");
  v.optional("form", s.form, "the formula in words");
  v.optional("range", s.range, "sizes that were measured; beyond them it extrapolates");
  v.required("fit", s.fit, "errors on the records of the fit");
  v.optional("held_out", s.held_out, "errors on records that the fit has not seen");
  v.optional("note", s.note, "what to beware of");
}

struct DeviceProfile {
  int32_t format_version = 1;
  std::string name;   // "h100-sxm/pytorch"
  std::string gpu;    // of the catalogue
  std::string stack;  // in words, with versions
  std::string machine;
  std::string command;      // that made it
  std::string scaled_from;  // the profile whose parameters these are, where this GPU was not measured
  KernelParameters kernels;
  HostParameters host;
  SoftwareStack collectives;     // on the device: as nodes of a CUDA graph
  std::optional<Rate> scale_up;  // payload that collectives reach per direction, where measured
  CopiesParameters copies;
  CpuParameters cpu;
  InterferenceParameters interference;
  std::vector<ProfilePart> parts;
};

template <class Visitor>
void fields(Visitor& v, DeviceProfile& s) {
  v.required("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "GPU and stack, such as h100-sxm/pytorch");
  v.required("gpu", s.gpu, "GPU of the catalogue, whose data sheet the fractions are of");
  v.required("stack", s.stack, "software that was measured, with versions");
  v.optional("machine", s.machine, "where it was measured: host, driver, links");
  v.optional("command", s.command, "that made this file");
  v.optional("scaled_from", s.scaled_from,
             "profile whose parameters these are, where this GPU was not measured itself");
  v.optional("kernels", s.kernels, "what kernels reach of the data sheet, and what they cost beside");
  v.optional("host", s.host, "the host's part of eager execution");
  v.optional("collectives", s.collectives, "what collectives cost beside their bytes, in a CUDA graph");
  v.optional("scale_up", s.scale_up, above(Rate{0}), "payload that collectives reach between GPUs, per direction");
  v.optional("copies", s.copies, "by copy engines");
  v.optional("cpu", s.cpu, "experts on the host's CPU");
  v.optional("interference", s.interference, "how work slows other work on the same GPU");
  v.optional("parts", s.parts, "what each part rests on, and how far off it was");
}

// A profile of models/calibration by name ("h100-sxm/pytorch"), or a file by path. An unknown name is a ConfigError
// that says what may have been meant.
DeviceProfile load_profile(const std::string& name_or_path);

// Names of all profiles that moesim brings, sorted.
std::vector<std::string> profile_names();

// The same stack on another GPU: the same fractions of its data sheet, but the same times of passes that their SMs
// bound and not the memory. Errors measured are dropped.
DeviceProfile scaled_profile(const DeviceProfile& profile, const std::string& gpu);

}  // namespace moesim
