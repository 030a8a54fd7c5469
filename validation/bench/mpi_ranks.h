// The processes of one measurement. Without MPI (MOESIM_MPI undefined) there is one, and each function does nothing;
// with it there is one process a GPU, and a process is a rank.
#pragma once

#include <cstddef>
#include <span>

namespace moesim::bench {

struct Processes {
  int rank = 0;
  int ranks = 1;
  int rank_on_node = 0;  // which of the node's GPUs this process drives
};

// Starts MPI on the first call; it ends with the program.
Processes processes();

// What rank 0 holds, to all.
void broadcast_from_first(void* data, size_t bytes);
// Element by element the largest of all processes.
void maximum_of_all(std::span<double> values);
void wait_for_all();

}  // namespace moesim::bench
