#include "sim/run/fabric_picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "sim/core/check.h"
#include "sim/run/fabric_layout.h"
#include "sim/run/link_use.h"
#include "sim/run/pair_picture.h"
#include "sim/run/svg.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

constexpr const char* kIdle = "#dddddd";  // of a link that carried nothing
constexpr size_t kManyLines = 600;        // beyond which they are drawn thinner
constexpr double kHeading = 34;           // above the fabric
constexpr double kFoot = kScaleHeight + 24;
constexpr double kPanelScale = 0.62;  // of a fabric beside others

// What links carried together: the use of the busiest, and the bytes of all.
struct Carried {
  double utilisation = 0;
  double bytes = 0;
};

Carried carried_by(const RunRecord& record, std::span<const LinkId> links) {
  Carried carried;
  for (const LinkId link : links) {
    const double bytes = double(record.use[index(link)].carried.count);
    carried.bytes += bytes;
    carried.utilisation = std::max(
        carried.utilisation, utilisation(bytes, record.topology.links[index(link)].capacity, record.end - Time{}));
  }
  return carried;
}

// How a line or box of these links looks.
struct Look {
  std::string colour;
  double strength = 0;  // 0 to 1: draws thicker, and over what is weaker
  std::string text;     // what it carried, to point at
};
using LookOf = std::function<Look(std::span<const LinkId>)>;

std::string line_name(const FabricLayout& layout, const FabricLine& line) {
  return fmt::format("{} {} {}", layout.boxes[size_t(line.from)].name, line.both_ways ? "and" : "to",
                     layout.boxes[size_t(line.to)].name);
}

// Where on a box a line to another ends: opposite of it on a wide box, else a little to its side, so that the lines of
// one box can be told apart.
double line_end(const FabricLayout& layout, const FabricBox& box, const FabricBox& other) {
  constexpr double kWide = 120, kMargin = 8;
  const double middle = box.x + box.width / 2;
  const double away = other.x + other.width / 2 - middle;
  const double room = box.width / 2 - kMargin;
  if (room <= 0) return middle;
  return middle + (box.width > kWide ? std::clamp(away, -room, room) : 2 * room * away / layout.width);
}

void draw_line(Drawing& drawing, const FabricLayout& layout, const FabricLine& line, const Look& look) {
  constexpr double kApart = 1.6;  // of the two directions from their middle
  const FabricBox *from = &layout.boxes[size_t(line.from)], *to = &layout.boxes[size_t(line.to)];
  const std::string title = line_name(layout, line) + ": " + look.text;
  const double width = (layout.lines.size() > kManyLines ? 0.4 : 1) * (0.7 + 2.3 * look.strength);
  if (from->y == to->y) {  // neighbours in a row are joined above it
    const double x1 = from->x + from->width / 2, x2 = to->x + to->width / 2;
    const double rise = std::min(56.0, 10 + 0.12 * std::abs(x2 - x1)) + (line.from < line.to ? 2 : 0);
    return drawing.arc(x1, from->y, x2, to->y, rise, look.colour, width, title);
  }
  const bool down = from->y < to->y;
  if (!down) std::swap(from, to);
  const double x1 = line_end(layout, *from, *to), y1 = from->y + from->height;
  const double x2 = line_end(layout, *to, *from), y2 = to->y;
  const double length = std::hypot(x2 - x1, y2 - y1);
  const double apart = line.both_ways || length == 0 ? 0 : (down ? kApart : -kApart);
  const double dx = apart * (y2 - y1) / std::max(length, 1.0), dy = -apart * (x2 - x1) / std::max(length, 1.0);
  drawing.line(x1 + dx, y1 + dy, x2 + dx, y2 + dy, look.colour, width, title);
}

void draw_box(Drawing& drawing, const FabricBox& box, const LookOf& look_of) {
  std::string title = box.name;
  std::string fill = box.is_compute ? "#ffffff" : "#eef0f2";
  drawing.rectangle(box.x - 0.6, box.y - 0.6, box.width + 1.2, box.height + 1.2, "#8a8f94");
  if (!box.inside.empty()) title += ", links inside: " + look_of(box.inside).text;
  drawing.rectangle(box.x, box.y, box.width, box.height, fill, title);
  if (!box.inside.empty())  // a strip in the colour of the busiest link inside
    drawing.rectangle(box.x, box.y + 0.62 * box.height, box.width, 0.38 * box.height, look_of(box.inside).colour);
  const double text_y = box.inside.empty() ? box.y + box.height / 2 + 3 : box.y + 0.38 * box.height;
  if (!box.label.empty()) drawing.text(box.x + box.width / 2, text_y, 8, Anchor::middle, box.label);
}

void draw_fabric(Drawing& drawing, const FabricLayout& layout, const LookOf& look_of) {
  for (const FabricText& row : layout.rows) drawing.text(row.x + 4, row.y, 11, Anchor::start, row.text, "#555555");
  for (const FabricBox& frame : layout.frames) {
    drawing.rectangle(frame.x, frame.y, frame.width, frame.height, "#c9ced3");
    drawing.rectangle(frame.x + 1, frame.y + 1, frame.width - 2, frame.height - 2, "#fafbfc");
    drawing.text(frame.x + frame.width / 2, frame.y + frame.height - 4, 9, Anchor::middle, frame.label, "#555555");
  }
  std::vector<Look> looks;
  for (const FabricLine& line : layout.lines) looks.push_back(look_of(line.links));
  std::vector<size_t> weakest_first(looks.size());
  for (size_t line = 0; line < looks.size(); ++line) weakest_first[line] = line;
  std::stable_sort(weakest_first.begin(), weakest_first.end(),
                   [&](size_t a, size_t b) { return looks[a].strength < looks[b].strength; });
  for (const size_t line : weakest_first) draw_line(drawing, layout, layout.lines[line], looks[line]);
  for (const FabricBox& box : layout.boxes) draw_box(drawing, box, look_of);
}

std::string carried_text(const Carried& carried, size_t links) {
  return fmt::format("{:.2f} % used, {}{}", 100 * carried.utilisation, with_prefix(carried.bytes, "B"),
                     links > 1 ? fmt::format(" over {} links, the busiest counts", links) : "");
}

LookOf load_look(const RunRecord& record, double max) {
  return [&record, max](std::span<const LinkId> links) {
    const Carried carried = carried_by(record, links);
    const double load = carried.utilisation / max;
    return Look{carried.bytes > 0 ? load_colour(load) : kIdle, load, carried_text(carried, links.size())};
  };
}

LookOf change_look(const RunRecord& before, const RunRecord& after, double max) {
  return [&before, &after, max](std::span<const LinkId> links) {
    const Carried was = carried_by(before, links), is = carried_by(after, links);
    const double change = (is.utilisation - was.utilisation) / max;
    return Look{change_colour(change), std::abs(change),
                fmt::format("{:+.2f} points, from {:.2f} to {:.2f} %", 100 * (is.utilisation - was.utilisation),
                            100 * was.utilisation, 100 * is.utilisation)};
  };
}

// The ends of the two scales, over all lines and boxes.
struct Scales {
  double load = 0;
  double change = 0;
};

Scales scales_of(const FabricLayout& layout, std::span<const RunRecord> records) {
  Scales scales;
  const auto look_at = [&](std::span<const LinkId> links) {
    const double first = carried_by(records[0], links).utilisation;
    for (const RunRecord& record : records) {
      const double used = carried_by(record, links).utilisation;
      scales.load = std::max(scales.load, used);
      scales.change = std::max(scales.change, std::abs(used - first));
    }
  };
  for (const FabricLine& line : layout.lines) look_at(line.links);
  for (const FabricBox& box : layout.boxes) look_at(box.inside);
  return {nice_ceiling(scales.load), nice_ceiling(scales.change)};
}

FabricLayout layout_of(std::span<const RunRecord> records) {
  std::vector<bool> used(records[0].topology.links.size(), false);
  for (const RunRecord& record : records)
    for (size_t link = 0; link < used.size(); ++link)
      if (record.use[link].carried > Bytes{}) used[link] = true;
  return fabric_layout(records[0].topology, used);
}

// One fabric with its heading and scale, as large as the layout and what stands around it.
void draw_panel(Drawing& drawing, const FabricLayout& layout, const std::string& heading, const LookOf& look_of) {
  drawing.text(4, 16, 13, Anchor::start, heading);
  drawing.open_group(0, kHeading, 1);
  draw_fabric(drawing, layout, look_of);
  drawing.close_group();
}

constexpr const char* kLoadScale = "use of the link over the run, %";

}  // namespace

std::string fabric_svg(const RunRecord& record, const std::string& title) {
  const FabricLayout layout = layout_of({&record, 1});
  const Scales scales = scales_of(layout, {&record, 1});
  Drawing drawing;
  draw_panel(drawing, layout, "Load of the fabric: " + title, load_look(record, scales.load));
  draw_load_scale(drawing, 86, kHeading + layout.height + 14, 100 * scales.load, kLoadScale);
  return drawing.document(layout.width, kHeading + layout.height + kFoot);
}

std::string fabric_compare_svg(std::span<const RunRecord> records, std::span<const std::string> labels) {
  CHECK(records.size() >= 2);
  CHECK(labels.size() == records.size());
  records = records.first(std::min(records.size(), kComparedMax + 1));
  const FabricLayout layout = layout_of(records);
  const Scales scales = scales_of(layout, records);
  const double width = kPanelScale * layout.width, height = kPanelScale * (kHeading + layout.height);
  Drawing drawing;
  for (size_t v = 1; v < records.size(); ++v) {
    const double y = double(v - 1) * (height + kFoot);
    const auto panel = [&](int column, const std::string& heading, const LookOf& look_of) {
      drawing.open_group(column * width, y, kPanelScale);
      draw_panel(drawing, layout, heading, look_of);
      drawing.close_group();
    };
    panel(0, labels[0], load_look(records[0], scales.load));
    panel(1, labels[v], load_look(records[v], scales.load));
    panel(2, fmt::format("{} against {}", labels[v], labels[0]), change_look(records[0], records[v], scales.change));
    draw_load_scale(drawing, 54, y + height + 8, 100 * scales.load, kLoadScale);
    draw_load_scale(drawing, width + 54, y + height + 8, 100 * scales.load, kLoadScale);
    draw_change_scale(drawing, 2 * width + 54, y + height + 8, 100 * scales.change, "change of use, percentage points");
  }
  return drawing.document(3 * width, double(records.size() - 1) * (height + kFoot));
}

bool same_fabric(const RunRecord& a, const RunRecord& b) {
  const Topology &ta = a.topology, &tb = b.topology;
  if (ta.links.size() != tb.links.size() || ta.by_name != tb.by_name) return false;
  for (size_t link = 0; link < ta.places.size(); ++link)
    if (ta.places[link].from != tb.places[link].from || ta.places[link].to != tb.places[link].to) return false;
  return true;
}

}  // namespace moesim
