// Where the parts of a fabric are drawn: switches in tiers above, servers below with their NICs, GPUs and switches.
// What is too much to look at is drawn together: a server as one box, several servers or switches as one, and the links
// between two boxes as one line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topologies/topology.h"

namespace moesim {

struct FabricBox {
  double x = 0, y = 0, width = 0, height = 0;  // of the upper left corner
  std::string name;                            // whole, to point at
  std::string label;                           // as much of it as has room; may be ""
  std::vector<LinkId> inside;                  // links that begin and end in it, where it stands for many vertices
  bool is_compute = false;                     // GPUs or servers, which have a colour of their own
};

struct FabricLine {
  int32_t from = 0;  // boxes
  int32_t to = 0;
  std::vector<LinkId> links;
  bool both_ways = false;  // it stands for the links of the other direction too
};

struct FabricText {
  double x = 0, y = 0;
  std::string text;
};

struct FabricLayout {
  std::vector<FabricBox> boxes;
  std::vector<FabricLine> lines;
  std::vector<FabricBox> frames;  // around each server that is drawn in detail
  std::vector<FabricText> rows;   // what each row holds, at its left
  double width = 0, height = 0;
};

// `used` says of each link whether it carried anything, in any run that is drawn: CPUs that nothing reached are left
// out.
FabricLayout fabric_layout(const Topology& topology, const std::vector<bool>& used);

}  // namespace moesim
