// Minimal splitting, from "Challenging the Need for Packet Spraying in Large-Scale Distributed Training" (Addanki et
// al., arXiv 2407.00550): every link up from a leaf carries exactly what ideal packet spraying would put on it, with
// the fewest sub-flows of equal size.
//
// Of r equal flows that leave one leaf with s ways up, r div s whole ones go on each way. The r mod s flows that are
// left, r', are cut into s / g pieces each, g = gcd(r', s), and each way gets r' / g pieces: with fewer pieces r' x
// pieces would not divide by s. If pieces may differ in size, r' + s - g of them are enough (`pieces: any`): the flows
// are laid end to end and cut into s equal lengths, and no cut but the s - g that fall inside a flow makes a piece
// more.

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "sim/core/check.h"
#include "sim/net/path_policy.h"

namespace moesim {
namespace {

enum class Pieces { equal, any };
constexpr auto enum_names(Pieces) {
  return std::to_array<std::pair<Pieces, const char*>>({{Pieces::equal, "equal"}, {Pieces::any, "any"}});
}

struct MinimalSplitOptions {
  Pieces pieces = Pieces::equal;
};

template <class Visitor>
void fields(Visitor& v, MinimalSplitOptions& s) {
  v.optional("pieces", s.pieces, "equal pieces of a flow, as published, or any, of which fewer are needed");
}

// Messages of one size that have the same ways up: the first links in which their paths differ.
struct Group {
  std::vector<LinkId> ways;
  Bytes bytes;
  auto operator<=>(const Group&) const = default;
};

struct Waiting {
  LinkId last_fork;  // the first link that all paths share again: where they come together
  uint32_t message = 0;
};

size_t hops_shared(std::span<const Path> choices) {
  for (size_t hop = 0;; ++hop)
    for (const Path path : choices)
      if (hop >= path.size() || path[hop] != choices[0][hop]) return hop;
}

LinkId first_link_shared_again(std::span<const Path> choices) {
  size_t shared = 0;
  const auto from_end = [&](Path path) { return path[path.size() - 1 - shared]; };
  while (std::all_of(choices.begin(), choices.end(), [&](Path path) {
    return shared < path.size() && shared < choices[0].size() && from_end(path) == from_end(choices[0]);
  }))
    ++shared;
  return shared == 0 ? LinkId{-1} : choices[0][choices[0].size() - shared];
}

// The pieces of the flows left over, so that each of the ways gets equal bytes; where these do not divide, ways differ
// by rounding to whole bytes.
void cut_evenly(std::span<const uint32_t> flows, Bytes bytes, size_t ways, Pieces pieces,
                const std::function<void(uint32_t flow, Bytes bytes, size_t way)>& add) {
  const auto left = int64_t(flows.size());
  if (left == 0) return;
  if (pieces == Pieces::equal) {
    const int64_t each = int64_t(ways) / std::gcd(left, int64_t(ways));
    for (int64_t f = 0; f < left; ++f)
      for (int64_t i = 0; i < each; ++i) add(flows[size_t(f)], piece(bytes, each, i), size_t(f * each + i) % ways);
    return;
  }
  const __int128 total = __int128{bytes.count} * left;
  size_t way = 0;
  for (int64_t f = 0; f < left; ++f)
    for (__int128 at = __int128{bytes.count} * f, end = at + bytes.count; at < end;) {
      const __int128 cut = std::min(end, total * __int128(way + 1) / __int128(ways));
      if (cut > at) add(flows[size_t(f)], Bytes{int64_t(cut - at)}, way);
      at = cut;
      if (cut == total * __int128(way + 1) / __int128(ways)) ++way;
    }
}

std::vector<PathPart> paths_minimally_split(const PathInput& in, const MinimalSplitOptions& options, Rng&) {
  std::vector<PathPart> parts;
  std::map<Group, std::vector<Waiting>> groups;
  for (uint32_t m = 0; m < in.messages.size(); ++m) {
    const std::span<const Path> choices = in.choices(in.messages[m]);
    if (choices.size() == 1 || in.messages[m].bytes == Bytes{}) {
      parts.push_back({m, in.messages[m].bytes, {choices[0]}});
      continue;
    }
    Group group{{}, in.messages[m].bytes};
    const size_t fork = hops_shared(choices);
    for (const Path path : choices) group.ways.push_back(path[fork]);
    groups[group].push_back({first_link_shared_again(choices), m});
  }
  for (auto& [group, waiting] : groups) {
    // In order of destination, so that the links down are shared as evenly as whole flows allow.
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Waiting& a, const Waiting& b) { return a.last_fork < b.last_fork; });
    const size_t ways = group.ways.size();
    const size_t whole = waiting.size() / ways * ways;
    for (size_t i = 0; i < whole; ++i) {
      const uint32_t m = waiting[i].message;
      parts.push_back({m, group.bytes, {in.choices(in.messages[m])[i % ways]}});
    }
    std::vector<uint32_t> left;
    for (size_t i = whole; i < waiting.size(); ++i) left.push_back(waiting[i].message);
    cut_evenly(left, group.bytes, ways, options.pieces, [&](uint32_t m, Bytes bytes, size_t way) {
      if (bytes > Bytes{}) parts.push_back({m, bytes, {in.choices(in.messages[m])[way]}});
    });
  }
  return parts;
}

[[maybe_unused]] const bool registered = Registry<PathPolicy>::instance().add(
    "minimal_split", "whole flows dealt evenly to the ways up of a leaf, only the rest cut (Ethereal)",
    paths_minimally_split);

}  // namespace
}  // namespace moesim
