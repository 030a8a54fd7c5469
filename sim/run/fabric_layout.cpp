#include "sim/run/fabric_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>

#include "sim/run/svg.h"

namespace moesim {
namespace {

constexpr double kLeft = 84;     // for what rows hold
constexpr double kWidth = 1100;  // of all boxes
constexpr double kBoxHeight = 16;
constexpr double kServerHeight = 40;  // of a server drawn as one box
constexpr double kTierGap = 110;      // from a tier of switches down to the next row
constexpr double kRowGap = 46;        // between the rows of a server
constexpr double kTextSize = 8;
constexpr double kArcRoom = 70;           // above a row whose boxes are joined with each other
constexpr size_t kDetailedGpusMax = 80;   // beyond which a server is one box
constexpr size_t kDetailedNodesMax = 16;  // likewise
constexpr size_t kServerBoxesMax = 64;
constexpr size_t kSwitchBoxesMax = 64;   // of a tier
constexpr size_t kTwoWayPairsMax = 300;  // joined boxes up to which each direction has a line

// Rows of a server from the top, by what its vertices are.
constexpr std::array kServerRows = {VertexKind::nic,         VertexKind::memory, VertexKind::cpu,
                                    VertexKind::pcie_switch, VertexKind::gpu,    VertexKind::nvswitch};

const char* row_name(VertexKind kind) {
  switch (kind) {
    case VertexKind::gpu:
      return "GPUs";
    case VertexKind::nic:
      return "NICs";
    case VertexKind::cpu:
      return "CPUs";
    case VertexKind::memory:
      return "memory";
    case VertexKind::pcie_switch:
      return "PCIe";
    case VertexKind::nvswitch:
      return "NVSwitch";
    case VertexKind::leaf:
      return "leaves";
    case VertexKind::spine:
      return "spines";
    default:
      return "switches";
  }
}

std::string short_name(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string number_of(const std::string& name) { return name.substr(name.find_last_not_of("0123456789") + 1); }

// The labels of a row of boxes that are `slot` apart: names where all have room, else numbers, and those of every
// second or third box only where they would touch.
void label_row(std::span<FabricBox> row, double slot) {
  const auto all_fit = [&](const auto& label) {
    return std::all_of(row.begin(), row.end(), [&](const FabricBox& box) {
      return text_width(label(box.label), kTextSize) <= std::min(box.width - 2, slot);
    });
  };
  if (all_fit([](const std::string& name) { return name; })) return;
  double widest = 0;
  for (FabricBox& box : row) {
    box.label = number_of(box.label);
    widest = std::max(widest, text_width(box.label, kTextSize));
  }
  const size_t step = size_t(std::max(1.0, std::ceil((widest + 4) / slot)));
  for (size_t box = 0; box < row.size(); ++box)
    if (box % step != 0) row[box].label.clear();
}

class Layouter {
 public:
  Layouter(const Topology& topology, const std::vector<bool>& used)
      : topology_(topology), vertices_(boost::num_vertices(topology.graph)), box_of_(vertices_, kNone) {
    hide_unused_cpus(used);
  }

  FabricLayout run() {
    detailed_ = topology_.gpus.size() <= kDetailedGpusMax && size_t(topology_.nodes) <= kDetailedNodesMax;
    find_tiers();
    double y = 6;
    for (size_t tier = tiers_.size(); tier-- > 0;) y = place_tier(tier, y);
    y = detailed_ ? place_servers(y) : place_server_boxes(y);
    layout_.width = kLeft + kWidth + 10;
    layout_.height = y + 6;
    add_lines();
    return std::move(layout_);
  }

 private:
  static constexpr int32_t kNone = -1;

  // A CPU or memory none of whose links carried anything only takes room.
  void hide_unused_cpus(const std::vector<bool>& used) {
    std::vector<bool> reached(vertices_, false);
    for (size_t link = 0; link < topology_.places.size(); ++link)
      if (used[link]) reached[index(topology_.places[link].from)] = reached[index(topology_.places[link].to)] = true;
    hidden_.resize(vertices_, false);
    for (size_t v = 0; v < vertices_; ++v) {
      const VertexKind kind = vertex(topology_, VertexId(v)).kind;
      hidden_[v] = (kind == VertexKind::cpu || kind == VertexKind::memory) && !reached[v];
    }
  }

  bool in_fabric(VertexId v) const { return vertex(topology_, v).node == kNoNode; }

  // Switches next to a server are the lowest tier, those next to them the one above, and so on.
  void find_tiers() {
    std::vector<int32_t> tier_of(vertices_, kNone);
    std::vector<VertexId> below;
    for (size_t v = 0; v < vertices_; ++v)
      if (!in_fabric(VertexId(v))) below.push_back(VertexId(v));
    std::vector<std::vector<VertexId>> next_to(vertices_);
    for (const LinkPlace& place : topology_.places) {
      next_to[index(place.from)].push_back(place.to);
      next_to[index(place.to)].push_back(place.from);
    }
    for (int32_t tier = 0; !below.empty(); ++tier) {
      std::vector<VertexId> here;
      for (const VertexId v : below)
        for (const VertexId above : next_to[index(v)]) {
          if (!in_fabric(above) || tier_of[index(above)] != kNone) continue;
          tier_of[index(above)] = tier;
          here.push_back(above);
        }
      std::sort(here.begin(), here.end());
      if (!here.empty()) tiers_.push_back(here);
      below = std::move(here);
    }
  }

  int32_t add_box(FabricBox box) {
    layout_.boxes.push_back(std::move(box));
    return int32_t(layout_.boxes.size()) - 1;
  }

  bool joined_within(const std::vector<VertexId>& row) const {
    for (const LinkPlace& place : topology_.places)
      if (std::binary_search(row.begin(), row.end(), place.from) &&
          std::binary_search(row.begin(), row.end(), place.to))
        return true;
    return false;
  }

  double place_tier(size_t tier, double y) {
    const std::vector<VertexId>& switches = tiers_[tier];
    if (joined_within(switches)) y += kArcRoom;
    layout_.rows.push_back({0, y + 0.72 * kBoxHeight, row_name(vertex(topology_, switches[0]).kind)});
    place_row(switches, kLeft, kWidth, y, kSwitchBoxesMax);
    return y + kBoxHeight + kTierGap;
  }

  // Evenly spread boxes, with several vertices a box where there are more than `boxes_max`.
  void place_row(const std::vector<VertexId>& row, double left, double width, double y, size_t boxes_max) {
    const size_t a_box = (row.size() + boxes_max - 1) / boxes_max;
    const size_t boxes = (row.size() + a_box - 1) / a_box;
    const double slot = width / double(boxes);
    const double box_width = boxes == 1 ? 0.97 * width : std::min(74.0, 0.86 * slot);
    for (size_t b = 0; b < boxes; ++b) {
      const size_t first = b * a_box;
      const size_t last = std::min(first + a_box, row.size()) - 1;
      FabricBox box{left + (double(b) + 0.5) * slot - box_width / 2, y, box_width, kBoxHeight, {}, {}, {}, false};
      const std::string first_name = vertex(topology_, row[first]).name;
      box.name = first == last ? first_name : first_name + " to " + vertex(topology_, row[last]).name;
      box.label = short_name(first_name);
      box.is_compute = vertex(topology_, row[first]).kind == VertexKind::gpu;
      const int32_t id = add_box(std::move(box));
      for (size_t v = first; v <= last; ++v) box_of_[index(row[v])] = id;
    }
    label_row(std::span(layout_.boxes).last(boxes), slot);
  }

  std::vector<std::vector<VertexId>> vertices_by_node() const {
    std::vector<std::vector<VertexId>> of_node(size_t(std::max(topology_.nodes, 1)));
    for (size_t v = 0; v < vertices_; ++v)
      if (!in_fabric(VertexId(v)) && !hidden_[v])
        of_node[size_t(vertex(topology_, VertexId(v)).node)].push_back(VertexId(v));
    return of_node;
  }

  double place_servers(double y) {
    const auto of_node = vertices_by_node();
    const double slot = kWidth / double(of_node.size());
    const double frame_top = y - 8;
    for (const VertexKind kind : kServerRows) {
      bool has_row = false;
      for (size_t node = 0; node < of_node.size(); ++node) {
        std::vector<VertexId> row;
        for (const VertexId v : of_node[node])
          if (vertex(topology_, v).kind == kind) row.push_back(v);
        if (row.empty()) continue;
        if (!has_row && kind == VertexKind::gpu && joined_within(row)) y += kArcRoom;
        if (!has_row) layout_.rows.push_back({0, y + 0.72 * kBoxHeight, row_name(kind)});
        has_row = true;
        place_row(row, kLeft + double(node) * slot + 5, slot - 10, y, row.size());
      }
      if (has_row) y += kBoxHeight + kRowGap;
    }
    y += 16 - kRowGap;
    for (size_t node = 0; node < of_node.size(); ++node) {
      const std::string name = of_node[node].empty() ? "" : server_name(of_node[node].front());
      layout_.frames.push_back(
          {kLeft + double(node) * slot + 2, frame_top, slot - 4, y - frame_top, name, name, {}, false});
    }
    label_row(layout_.frames, slot);
    return y + 4;
  }

  std::string server_name(VertexId v) const {
    const std::string& name = vertex(topology_, v).name;
    return name.substr(0, name.find('/'));
  }

  double place_server_boxes(double y) {
    const auto of_node = vertices_by_node();
    const size_t a_box = (of_node.size() + kServerBoxesMax - 1) / kServerBoxesMax;
    const size_t boxes = (of_node.size() + a_box - 1) / a_box;
    const double slot = kWidth / double(boxes);
    layout_.rows.push_back({0, y + 0.5 * kServerHeight, "servers"});
    for (size_t b = 0; b < boxes; ++b) {
      const size_t first = b * a_box;
      const size_t last = std::min(first + a_box, of_node.size()) - 1;
      FabricBox box{kLeft + (double(b) + 0.08) * slot, y, 0.84 * slot, kServerHeight, {}, {}, {}, true};
      if (!of_node[first].empty()) box.name = server_name(of_node[first].front());
      box.label = box.name;
      if (last > first && !of_node[last].empty()) box.name += " to " + server_name(of_node[last].front());
      const int32_t id = add_box(std::move(box));
      for (size_t node = first; node <= last; ++node)
        for (const VertexId v : of_node[node]) box_of_[index(v)] = id;
    }
    label_row(std::span(layout_.boxes).last(boxes), slot);
    return y + kServerHeight + 4;
  }

  // Links between two boxes are one line each way, or one for both ways where there are many pairs.
  void add_lines() {
    std::map<std::pair<int32_t, int32_t>, std::vector<LinkId>> each_way;
    for (size_t link = 0; link < topology_.places.size(); ++link) {
      const int32_t from = box_of_[index(topology_.places[link].from)];
      const int32_t to = box_of_[index(topology_.places[link].to)];
      if (from == kNone || to == kNone) continue;
      if (from == to)
        layout_.boxes[size_t(from)].inside.push_back(LinkId(link));
      else
        each_way[{from, to}].push_back(LinkId(link));
    }
    if (each_way.size() <= 2 * kTwoWayPairsMax) {
      for (auto& [ends, links] : each_way) layout_.lines.push_back({ends.first, ends.second, std::move(links), false});
      return;
    }
    std::map<std::pair<int32_t, int32_t>, std::vector<LinkId>> both_ways;
    for (const auto& [ends, links] : each_way) {
      std::vector<LinkId>& all = both_ways[std::minmax(ends.first, ends.second)];
      all.insert(all.end(), links.begin(), links.end());
    }
    for (auto& [ends, links] : both_ways) layout_.lines.push_back({ends.first, ends.second, std::move(links), true});
  }

  const Topology& topology_;
  size_t vertices_;
  FabricLayout layout_;
  std::vector<bool> hidden_;
  std::vector<int32_t> box_of_;  // [vertex]
  std::vector<std::vector<VertexId>> tiers_;
  bool detailed_ = true;
};

}  // namespace

FabricLayout fabric_layout(const Topology& topology, const std::vector<bool>& used) {
  return Layouter(topology, used).run();
}

}  // namespace moesim
