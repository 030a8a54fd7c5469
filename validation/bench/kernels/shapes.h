// Shapes and settings of the kernels, which kernels and their references on the host share. Plain C++.
#pragma once

namespace moesim::bench {

// Whether the weights of the chosen experts are divided by their sum.
enum class Normalize { no, yes };

// DeepSeek-V3's gate. experts are cut into `groups` equal runs of at least 2.
struct GroupGate {
  int experts = 256;
  int k = 8;
  int groups = 8;
  int top_groups = 4;
  float scale = 2.5F;
};

// Rows of all groups, in order, each group with a matrix [n, k] of its own.
struct GroupedGemm {
  int rows;    // of all groups together
  int groups;  // at most 1024
  int n;       // a multiple of 8
  int k;       // a multiple of 32
};

// Whether a value is an array of its own or the first elements of its key.
enum class Values { own, first_of_keys };

// Scores are scaled by 1 / sqrt(qk_dim) unless `scale` is above 0. heads is a multiple of kv_heads; head h reads
// the keys of kv head h / (heads / kv_heads).
struct Attention {
  int batch = 1;
  int q = 1;   // queries a sequence
  int kv = 1;  // keys a sequence, at least q
  int heads = 1;
  int kv_heads = 1;
  int qk_dim = 128;
  int v_dim = 128;
  Values values = Values::own;
  float scale = 0;
};

}  // namespace moesim::bench
