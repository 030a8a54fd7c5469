// The flows that hang on one link, by the byte on the link's clock at which each will be done: a binary heap that
// knows where each flow lies, so that one can be taken out of the middle.
#pragma once

#include <span>
#include <vector>

#include "sim/net/flow_table.h"

namespace moesim {

class FinishHeap {
 public:
  struct Hung {
    double finish;  // on the clock of the link, in bytes
    FlowId flow;
  };

  bool empty() const { return hung_.empty(); }
  size_t size() const { return hung_.size(); }
  const Hung& top() const { return hung_.front(); }
  const Hung& operator[](size_t place) const { return hung_[place]; }

  // places[flow] is kept to be where the flow lies; it is shared by all heaps, since a flow hangs on one link.
  void push(Hung entry, std::vector<uint32_t>& places);
  void erase(size_t place, std::vector<uint32_t>& places);

  // Adds an entry out of order; heapify() makes a heap of all that were appended to an empty one.
  void append(Hung entry) { hung_.push_back(entry); }
  void heapify(std::vector<uint32_t>& places);
  void reserve(size_t flows) { hung_.reserve(flows); }
  void clear() { hung_.clear(); }
  std::span<const Hung> entries() const { return hung_; }

  // Sets the clock back by this many bytes for all.
  void rebase(double bytes);

 private:
  void sift_up(size_t place, std::vector<uint32_t>& places);
  void sift_down(size_t place, std::vector<uint32_t>& places);

  std::vector<Hung> hung_;
};

}  // namespace moesim
