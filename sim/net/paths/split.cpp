// Flow splitting: a message becomes one flow on each of the equal paths, with equal bytes. Each of them competes for
// itself, so that on a link shared with unsplit flows a split message has as many shares as it has parts.

#include <algorithm>

#include "sim/net/path_policy.h"

namespace moesim {
namespace {

struct SplitOptions {
  Bytes part_min{1};
};

template <class Visitor>
void fields(Visitor& v, SplitOptions& s) {
  v.optional("part_min", s.part_min, at_least(Bytes{1}),
             "a message is cut into no more parts than have this many bytes each");
}

std::vector<PathPart> paths_split(const PathInput& in, const SplitOptions& options, Rng&) {
  std::vector<PathPart> parts;
  for (uint32_t m = 0; m < in.messages.size(); ++m) {
    const Message& message = in.messages[m];
    const std::span<const Path> choices = in.choices(message);
    const int64_t pieces =
        std::clamp(message.bytes.count / options.part_min.count, int64_t{1}, int64_t(choices.size()));
    // Short messages begin on different paths, or the first would carry them all.
    const size_t first = size_t(splitmix64(message.key) % choices.size());
    for (int64_t i = 0; i < pieces; ++i)
      parts.push_back({m, piece(message.bytes, pieces, i), {choices[(first + size_t(i)) % choices.size()]}});
  }
  return parts;
}

[[maybe_unused]] const bool registered = Registry<PathPolicy>::instance().add(
    "split", "each message becomes one flow on every equal path, with equal bytes", paths_split);

}  // namespace
}  // namespace moesim
