// Routing as other programs record it, made into a trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "traces/routing_trace.h"

namespace moesim {

enum class TraceFormat { hdf5, npz, vllm, sglang, jsonl };

// By the content. ConfigError where it is none of them.
TraceFormat trace_format(const std::string& path);

struct ImportedTrace {
  RoutingTrace trace;
  int64_t warm_up_rows = 0;  // which were dropped
};

// Any format but HDF5. `experts` is for those that do not say it; 0 where not known, then it is assumed from the ids.
// Rows that are no routing are dropped: a negative request, no choice in any layer, or in every layer k times the same
// expert, as buffers hold that were never written.
ImportedTrace import_trace(const std::string& path, TraceFormat format, int64_t experts);

// What is left of rows as the readers below give them; throws ConfigError where that is no trace.
ImportedTrace finish_import(RoutingTrace rows, const std::string& source, int64_t experts);

// The readers of a file's bytes, which do not check what they give beyond its shape.
//
// vLLM's routed experts of requests, saved as .npz: arrays [tokens, layers, k] named routed_experts* and
// prompt_routed_experts*; the rest of the name tells requests apart. Layers of zeros alone have no experts and are left
// out. Negative ids are no choice.
RoutingTrace parse_vllm_rows(std::span<const std::byte> bytes, const std::string& source);

// A pass of SGLang's expert distribution recorder (mode per_token), converted from PyTorch to .npz: topk_ids_of_layer
// [layers, tokens, k], and where there are any input_ids and positions [tokens].
RoutingTrace parse_sglang_rows(std::span<const std::byte> bytes, const std::string& source);

// JSON objects, one a line: either a token, {"experts": [[ids of layer 0], ...], "request": 3, "position": 0, "token":
// 17, "step": 5, "rank": 0, "phase": "decode", "domain": 1, "gate": [[..], ..], "warmup": true}, all but experts
// optional; or a pass of SGLang's recorder as above with forward_pass_id, rank and forward_mode. A first line
// {"trace": {"experts": 64, "model": "..", "source": "..", "recorded": "..", "domains": [..]}} describes the whole.
RoutingTrace parse_jsonl_rows(std::span<const std::byte> bytes, const std::string& source);

}  // namespace moesim
