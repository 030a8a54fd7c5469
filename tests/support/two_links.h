// The smallest wiring: two ends, 0 and 1, and a link each way. Link 0 leads from the first to the second.
#pragma once

#include <array>

#include "sim/net/message.h"

namespace moesim {

class TwoLinks final : public PathFinder {
 public:
  Path by_hash(EndpointId from, EndpointId, uint64_t) override { return paths_[index(from)]; }
  std::span<const Path> choices(EndpointId from, EndpointId) override { return {&paths_[index(from)], 1}; }
  std::optional<Path> detour(Path, uint64_t, const std::vector<bool>&) override { return {}; }

 private:
  std::array<LinkId, 2> links_ = {LinkId{0}, LinkId{1}};
  std::array<Path, 2> paths_ = {Path(links_).first(1), Path(links_).last(1)};
};

}  // namespace moesim
