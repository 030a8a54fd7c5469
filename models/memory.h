// What one GPU's memory holds, by kind. A higher layer says how much of the model, the cache and the batch is its
// share.
#pragma once

#include <cstdint>
#include <string>

#include "models/llm.h"
#include "models/llm_kernels.h"
#include "sim/core/units.h"

namespace moesim {

struct MemoryShare {
  int64_t experts = 0;          // routed experts hosted, replicas too, of all layers together
  int32_t tensor_parallel = 1;  // splits attention, dense FFNs, shared experts, routed experts, embeddings and KV heads
  int64_t cached_tokens = 0;    // context of all requests whose cache this GPU (or its tensor-parallel group) holds
  int64_t cached_requests = 0;  // how many they are; 0: unknown, then sliding windows save nothing
  int64_t batch_tokens = 0;     // tokens in flight at once
  int64_t expert_rows = 0;      // token copies that its experts process at once
  LlmPrecision precision = {};
};

struct MemoryUse {
  Bytes attention;   // weights
  Bytes dense;       // weights of dense FFNs and routers
  Bytes shared;      // weights of shared experts
  Bytes experts;     // weights of routed experts
  Bytes embeddings;  // input and output
  Bytes cache;       // keys and values
  Bytes activations;

  Bytes total() const { return attention + dense + shared + experts + embeddings + cache + activations; }
};

// Windowed layers keep at most their window of each request, taken as equally long: exact if they are, else an upper
// bound, as min(window, length) is concave. Routers, embeddings and activations are bf16. Activations are the largest
// set alive at once in a layer: the residual and its norm, and then the more of (q, k, v and the attention's result)
// and (copies, their intermediate and their results in the experts). What frameworks and NCCL hold besides is not in
// it; take 5 to 10 % of the memory for that.
MemoryUse memory_use(const LlmSpec& llm, const MemoryShare& share);

// "weights of routed experts 64.4 GB, keys and values 12.1 GB, ...": the kinds by falling size, for the error that
// says what does not fit.
std::string describe(const MemoryUse& use);

}  // namespace moesim
