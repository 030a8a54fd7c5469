#include "validation/bench/mpi_ranks.h"

#ifdef MOESIM_MPI
#include <mpi.h>

#include <cstdlib>
#include <stdexcept>
#endif

namespace moesim::bench {

#ifdef MOESIM_MPI

namespace {

Processes start() {
  int threads = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &threads) != MPI_SUCCESS ||
      threads < MPI_THREAD_SERIALIZED)
    throw std::runtime_error("MPI does not start with calls from several threads, one at a time");
  std::atexit([] { MPI_Finalize(); });
  Processes all;
  MPI_Comm_rank(MPI_COMM_WORLD, &all.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &all.ranks);
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, all.rank, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &all.rank_on_node);
  MPI_Comm_free(&node);
  return all;
}

}  // namespace

Processes processes() {
  static const Processes all = start();
  return all;
}

void broadcast_from_first(void* data, size_t bytes) {
  if (processes().ranks > 1) MPI_Bcast(data, int(bytes), MPI_BYTE, 0, MPI_COMM_WORLD);
}

void maximum_of_all(std::span<double> values) {
  if (processes().ranks > 1)
    MPI_Allreduce(MPI_IN_PLACE, values.data(), int(values.size()), MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}

void wait_for_all() {
  if (processes().ranks > 1) MPI_Barrier(MPI_COMM_WORLD);
}

#else

Processes processes() { return {}; }
void broadcast_from_first(void*, size_t) {}
void maximum_of_all(std::span<double>) {}
void wait_for_all() {}

#endif

}  // namespace moesim::bench
