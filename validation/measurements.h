// What was measured on a machine, from the files of moesim-bench and of scripts/measure_pytorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "models/device_profile.h"
#include "models/precision.h"

namespace moesim {

// All sizes as the files have them; docs/validation.md says what each kind measures.
struct GemmRecord {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Precision precision = Precision::bf16;
};

struct GroupedGemmRecord {
  std::vector<int64_t> rows;  // [group]
  int64_t n = 0;
  int64_t k = 0;
  std::string kernel;  // "cublas", "moesim", "pytorch"
};

struct AttentionRecord {
  int64_t batch = 0;
  int64_t q = 0;   // new tokens of each; causal
  int64_t kv = 0;  // keys in all, the new ones included
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t qk_dim = 0;
  int64_t v_dim = 0;
  bool values_are_keys = false;
};

// A kernel that passes over memory: gate, order, permute, regroup, unregroup, unpermute, swiglu, rms_norm, ...
struct PassRecord {
  std::string op;
  int64_t rows = 0;  // tokens of a gate and of unpermute
  int64_t width = 0;
  int64_t experts = 0;
  int64_t top_k = 0;
};

struct CopyRecord {
  std::string from;  // "host_pinned", "host_pageable", "device"
  std::string to;    // "host_pinned", "device", "peer"
  int64_t bytes = 0;
  int32_t at_once = 1;   // GPUs that copy at the same time, each over its own link
  std::string beside{};  // what each of them copies at the same time: "device to host_pinned"; else empty
};

struct CollectiveRecord {
  std::string op;  // "all_to_all", "all_reduce", "all_gather", "reduce_scatter", "send_receive"
  int32_t ranks = 0;
  int64_t bytes = 0;                // a rank's send buffer; of an all-gather: the gathered bytes
  std::vector<int64_t> send_bytes;  // [from * ranks + to] of an uneven all-to-all; else empty
};

struct LaunchRecord {
  std::string what;  // "empty_kernel", "graph_node", ...; in PyTorch "small_kernel", all calls together
  int64_t calls = 1;
};

// Work alone and beside other work.
struct OverlapRecord {
  std::string first;   // "gemm"
  std::string second;  // "all_to_all", "copy"
  double first_us = 0;
  double second_us = 0;
};

// One MoE layer, eager or as a CUDA graph; phases: gate, permute, dispatch, regroup, experts, unregroup, combine,
// unpermute, layer.
struct MoeLayerRecord {
  std::string model;
  int64_t d = 0;
  int64_t f = 0;
  int32_t experts = 0;
  int32_t top_k = 0;
  int64_t tokens_per_rank = 0;
  int32_t ranks = 1;
  int32_t chunks = 1;                        // above 1: dispatch, experts and combine of the chunks overlap
  double skew = 0;                           // of the experts' popularity; 0: uniform
  bool scatters = false;                     // the way back is index_copy and index_add, not kernels without atomics
  std::vector<std::vector<int64_t>> counts;  // [source rank][expert]
  std::vector<double> experts_us_of_rank;    // where the file has it
};

// A MoE layer of a serving engine on one rank, in one time: softmax and top-k of scores that are there, the order of
// copies, both products with SwiGLU between, and the weighted sum. Each expert has as many tokens as any other.
struct FusedLayerRecord {
  int64_t d = 0;
  int64_t f = 0;  // of the model; a rank has f / tensor_parallel
  int32_t experts = 0;
  int32_t top_k = 0;
  int64_t tokens = 0;
  int32_t tensor_parallel = 1;
  Precision precision = Precision::bf16;
  std::string kernel{};
};

// A forward step of a model's blocks; phases: eager, graph.
struct ModelStepRecord {
  std::string model;
  bool prefill = false;
  int32_t layers = 0;
  int64_t d = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t f = 0;
  int32_t experts = 0;
  int32_t top_k = 0;
  int64_t tokens_per_rank = 0;
  int64_t kv = 0;
  int32_t ranks = 1;
  bool scatters = false;                                  // as of a layer
  std::vector<std::vector<std::vector<int64_t>>> counts;  // [layer][source rank][expert]
};

// A MoE layer some of whose experts lie in GPU memory (hit), are copied there (copy), or run on the CPU; each has
// `tokens` tokens. Phases: gpu, cpu, all.
struct OffloadRecord {
  std::string model;
  int64_t d = 0;
  int64_t f = 0;
  int64_t tokens = 0;
  int32_t hit = 0;
  int32_t copy = 0;
  int32_t cpu = 0;
  int32_t threads = 0;
};

struct CpuExpertRecord {
  std::string model;
  int64_t d = 0;
  int64_t f = 0;
  int64_t tokens = 0;
  int32_t threads = 0;
  Precision precision = Precision::bf16;
  std::string instructions{};  // "avx512", "amx", ...; empty where the file does not say
  bool in_cache = true;        // the same weights again and again; else others each time
};

// A record of a kind that no model predicts (clocks over time, ...): read, counted, not used.
struct OtherRecord {};

struct PhaseTime {
  std::string phase;  // "all" where the record has one
  double median_us = 0;
  std::vector<double> samples_us;  // one where the file has medians alone
  double min_us = 0;               // of the samples, or as the file says; the median where it says nothing
};

struct Measurement {
  std::string kind;  // as in the file: "moe_layer", "gemm_bf16", ...
  // A PyTorch record that holds times of both launches is two measurements.
  Launch launch = Launch::eager;
  std::variant<OtherRecord, GemmRecord, GroupedGemmRecord, AttentionRecord, PassRecord, CopyRecord, CollectiveRecord,
               LaunchRecord, OverlapRecord, MoeLayerRecord, FusedLayerRecord, ModelStepRecord, OffloadRecord,
               CpuExpertRecord>
      what;
  std::vector<PhaseTime> times;
  size_t record = 0;      // its number in the file, from 0
  bool held_out = false;  // the file says that no fit should see it
};

struct MeasurementFile {
  std::string source;  // the file's name, without folders
  std::string format;  // "moesim-bench" or "pytorch"
  std::string device;  // as the driver calls it: "NVIDIA H100 80GB HBM3"
  std::string gpu;     // of the catalogue, where the device is known there; else empty
  std::string software;
  int32_t world = 1;           // GPUs of the file
  bool is_imported = false;    // others measured it, of a serving engine
  bool is_other_host = false;  // of another machine than the profile's: the GPU is alike, the host need not be
  std::vector<Measurement> records{};
};

// Throws one ConfigError that lists every fault with its place.
MeasurementFile read_measurements(const std::filesystem::path& file);

// The same of text that has been read; the source is the name to report.
MeasurementFile parse_measurements(const std::string& text, const std::string& source);

// The name in the catalogue of a GPU as its driver calls it; "" for one that moesim does not know.
std::string catalogue_gpu(const std::string& device);

// Median, or the mean of the two middle ones.
double median(std::vector<double> values);

}  // namespace moesim
