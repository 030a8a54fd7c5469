#include "sim/net/finish_heap.h"

namespace moesim {

void FinishHeap::push(Hung entry, std::vector<uint32_t>& places) {
  hung_.push_back(entry);
  sift_up(hung_.size() - 1, places);
}

void FinishHeap::erase(size_t place, std::vector<uint32_t>& places) {
  const Hung last = hung_.back();
  hung_.pop_back();
  if (place == hung_.size()) return;
  const bool earlier = last.finish < hung_[place].finish;
  hung_[place] = last;
  if (earlier)
    sift_up(place, places);
  else
    sift_down(place, places);
}

void FinishHeap::heapify(std::vector<uint32_t>& places) {
  for (size_t place = 0; place < hung_.size(); ++place) places[index(hung_[place].flow)] = uint32_t(place);
  for (size_t place = hung_.size() / 2; place-- > 0;) sift_down(place, places);
}

void FinishHeap::trim() {
  if (hung_.capacity() > 2 * hung_.size() + 64) hung_.shrink_to_fit();
}

void FinishHeap::rebase(double bytes) {
  for (Hung& entry : hung_) entry.finish -= bytes;
}

void FinishHeap::sift_up(size_t place, std::vector<uint32_t>& places) {
  const Hung entry = hung_[place];
  while (place > 0) {
    const size_t parent = (place - 1) / 2;
    if (hung_[parent].finish <= entry.finish) break;
    hung_[place] = hung_[parent];
    places[index(hung_[place].flow)] = uint32_t(place);
    place = parent;
  }
  hung_[place] = entry;
  places[index(entry.flow)] = uint32_t(place);
}

void FinishHeap::sift_down(size_t place, std::vector<uint32_t>& places) {
  const Hung entry = hung_[place];
  for (;;) {
    size_t child = 2 * place + 1;
    if (child >= hung_.size()) break;
    if (child + 1 < hung_.size() && hung_[child + 1].finish < hung_[child].finish) ++child;
    if (entry.finish <= hung_[child].finish) break;
    hung_[place] = hung_[child];
    places[index(hung_[place].flow)] = uint32_t(place);
    place = child;
  }
  hung_[place] = entry;
  places[index(entry.flow)] = uint32_t(place);
}

}  // namespace moesim
