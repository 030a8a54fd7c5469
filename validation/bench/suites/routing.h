// Which expert each token of an expert-parallel layer goes to, and what follows for the exchange: plain arithmetic on
// the host, the same on every rank.
#pragma once

#include <cstdint>
#include <vector>

namespace moesim::bench {

struct LayerShape {
  const char* model = "";  // "" where the shape is nobody's
  int d = 0;
  int f = 0;
  int experts = 0;
  int k = 0;
};

struct RoutingCase {
  int ranks = 1;
  int tokens_per_rank = 0;
  double skew = 0;  // experts have Zipf popularities of this exponent; 0: uniform
  uint64_t seed = 1;
};

// The k experts of every token, all different.
struct Routing {
  int ranks = 1;
  int tokens = 0;  // of each rank
  int experts = 0;
  int k = 0;
  std::vector<std::vector<int32_t>> ids;  // [rank][token * k + choice]
};

// A token draws its experts one after another, without replacement, by popularity; which expert is how popular is a
// random permutation. Depends on the arguments alone.
Routing draw_routing(const LayerShape& shape, const RoutingCase& routing);

// [source rank][expert]
std::vector<std::vector<int64_t>> counts_of(const Routing& routing);

// Experts lie on ranks in runs of nearly equal length: rank r holds those from first_expert(r) to first_expert(r + 1).
inline int first_expert(int experts, int ranks, int rank) { return int(int64_t(experts) * rank / ranks); }

// The tokens of a chunk, on every rank: those from first_token(c) to first_token(c + 1).
inline int first_token(int tokens, int chunks, int chunk) { return int(int64_t(tokens) * chunk / chunks); }

// What one rank exchanges in one chunk. Rows are sent by expert; they arrive by source and, of each source, by expert;
// experts want them by expert and, of each expert, by source.
struct ChunkExchange {
  std::vector<int64_t> send_rows;     // [rank]
  std::vector<int64_t> receive_rows;  // [rank]
  int64_t sent = 0;
  int64_t received = 0;
  std::vector<int32_t> offsets;    // [local experts + 1]: the first grouped row of each, and the number of rows
  std::vector<int32_t> regroup;    // [grouped row]: the received row that belongs there
  std::vector<int32_t> unregroup;  // [received row]: where its grouped row stands
};
ChunkExchange plan_exchange(const Routing& routing, int rank, int chunk, int chunks);

// The ids of a rank with a number of its own for each expert in each chunk, chunk * experts + expert: ordered by
// these, the rows of a chunk lie together and a chunk is sent as it lies.
std::vector<int32_t> ids_by_chunk(const Routing& routing, int rank, int chunks);

}  // namespace moesim::bench
