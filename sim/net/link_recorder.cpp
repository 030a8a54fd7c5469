#include "sim/net/link_recorder.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

void LinkRecorder::enter(FlowId flow, Time now) {
  if (index(flow) >= entered_.size()) entered_.resize(std::max(index(flow) + 1, 2 * entered_.size()));
  entered_[index(flow)] = now;
}

void LinkRecorder::leave(FlowId flow, Path path, Bytes bytes, Time now) {
  CHECK(index(flow) < entered_.size());
  for (const LinkId link : path) add(link, bytes, entered_[index(flow)], now);
}

void LinkRecorder::add(LinkId link, Bytes bytes, Time begin, Time end) {
  CHECK(begin <= end);
  CHECK(index(link) < bytes_.size());
  if (bytes == Bytes{}) return;
  make_room_for(end);
  std::vector<double>& buckets = bytes_[index(link)];
  if (buckets.empty()) buckets.resize(kBuckets, 0.0);
  const int64_t first = begin.ps / width_.ps;
  // What ends with a bucket belongs to it and not to the next; what takes no time is put where it begins.
  const int64_t last = std::max(first, (end.ps - 1) / width_.ps);
  if (first == last) {
    buckets[size_t(first)] += double(bytes.count);
    return;
  }
  const double bytes_a_ps = double(bytes.count) / double((end - begin).ps);
  for (int64_t bucket = first; bucket <= last; ++bucket) {
    const int64_t from = std::max(begin.ps, bucket * width_.ps);
    const int64_t until = std::min(end.ps, (bucket + 1) * width_.ps);
    buckets[size_t(bucket)] += bytes_a_ps * double(until - from);
  }
}

void LinkRecorder::make_room_for(Time time) {
  while ((std::max(time.ps, int64_t{1}) - 1) / width_.ps >= int64_t(kBuckets)) {
    width_ = 2 * width_;
    for (std::vector<double>& buckets : bytes_) {
      if (buckets.empty()) continue;
      for (size_t bucket = 0; bucket < kBuckets / 2; ++bucket)
        buckets[bucket] = buckets[2 * bucket] + buckets[2 * bucket + 1];
      std::fill(buckets.begin() + kBuckets / 2, buckets.end(), 0.0);
    }
  }
}

}  // namespace moesim
