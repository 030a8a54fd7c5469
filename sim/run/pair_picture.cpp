#include "sim/run/pair_picture.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <vector>

#include "sim/core/check.h"
#include "sim/run/link_use.h"
#include "sim/run/svg.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

constexpr int32_t kDrawnMax = 128;  // squares on a side
constexpr int32_t kTitledMax = 24;  // squares on a side up to which each has its number to point at
constexpr int kColours = 32;        // shades in which squares are drawn
constexpr double kSide = 480;       // of the whole square
constexpr double kMarginLeft = 96;  // for the names of rows
constexpr double kMarginTop = 110;  // for the names of columns, and what stands above
constexpr double kPanelWidth = kMarginLeft + kSide + 30;
constexpr double kPanelHeight = kMarginTop + kSide + 80;
constexpr const char* kEmpty = "#f4f4f4";

// The matrix as it is drawn: neighbouring cells together where they are many.
struct DrawnMatrix {
  int32_t side = 0;
  int32_t cells_a_square = 1;
  std::vector<double> values;  // bytes of the cells of a square, [from * side + to]
};

DrawnMatrix drawn_matrix(const RunRecord& record) {
  const GpuPairs& pairs = record.pairs;
  DrawnMatrix drawn;
  const int32_t gpus_a_node = std::max(1, int32_t(record.topology.gpus.size()) / std::max(1, record.topology.nodes));
  while ((pairs.cells - 1) / drawn.cells_a_square >= kDrawnMax)
    drawn.cells_a_square =
        drawn.cells_a_square == 1 ? std::max(2, gpus_a_node / pairs.gpus_a_cell) : 2 * drawn.cells_a_square;
  drawn.side = (pairs.cells - 1) / drawn.cells_a_square + 1;
  drawn.values.resize(size_t(drawn.side) * size_t(drawn.side), 0.0);
  for (int32_t from = 0; from < pairs.cells; ++from)
    for (int32_t to = 0; to < pairs.cells; ++to)
      drawn.values[size_t(from / drawn.cells_a_square) * size_t(drawn.side) + size_t(to / drawn.cells_a_square)] +=
          double(pairs.bytes[size_t(from) * size_t(pairs.cells) + size_t(to)]);
  return drawn;
}

double largest(const DrawnMatrix& matrix) { return *std::max_element(matrix.values.begin(), matrix.values.end()); }

std::string square_name(const RunRecord& record, const DrawnMatrix& drawn, int32_t square) {
  const int32_t first = square * drawn.cells_a_square;
  if (drawn.cells_a_square == 1) return cell_name(record, first);
  const std::string name = cell_name(record, first);
  return name.substr(0, name.find('/'));
}

// Names of rows and columns: all where there is room, else every so many.
void draw_names(Drawing& drawing, const RunRecord& record, const DrawnMatrix& drawn) {
  constexpr double kTextSize = 8.5;
  const double square = kSide / drawn.side;
  int32_t step = 1;
  const int32_t gpus_a_node = std::max(1, drawn.side / std::max(1, record.topology.nodes));
  while (step * square < kTextSize + 1) step = step < gpus_a_node ? gpus_a_node : 2 * step;
  for (int32_t at = 0; at < drawn.side; at += step) {
    const std::string name = square_name(record, drawn, at);
    const double place = (at + 0.5) * square + 3;
    drawing.text(kMarginLeft - 5, kMarginTop + place, kTextSize, Anchor::end, name);
    drawing.upright_text(kMarginLeft + place, kMarginTop - 5, kTextSize, Anchor::start, name);
  }
}

// All squares of one shade are one shape, so that a picture of a hundred GPUs stays small; where they are few each has
// a title of its own.
template <class Shade, class Title>
void draw_squares(Drawing& drawing, const DrawnMatrix& drawn, const Shade& shade, const Title& title) {
  const double square = kSide / drawn.side;
  drawing.rectangle(kMarginLeft, kMarginTop, kSide, kSide, kEmpty);
  std::array<std::string, kColours> shapes;
  drawing.open_group(kMarginLeft, kMarginTop, square, Edges::crisp);
  for (int32_t from = 0; from < drawn.side; ++from)
    for (int32_t to = 0; to < drawn.side; ++to) {
      const size_t at = size_t(from) * size_t(drawn.side) + size_t(to);
      const double place = shade.place(at);
      if (!shade.is_drawn(at)) continue;
      const int colour = std::clamp(int(place * kColours), 0, kColours - 1);
      if (drawn.side <= kTitledMax)
        drawing.rectangle(to, from, 1, 1, shade.colour((colour + 0.5) / kColours), title(from, to, at));
      else
        fmt::format_to(std::back_inserter(shapes[size_t(colour)]), "M{} {}h1v1h-1z", to, from);
    }
  for (int colour = 0; colour < kColours; ++colour)
    if (!shapes[size_t(colour)].empty()) drawing.path(shapes[size_t(colour)], shade.colour((colour + 0.5) / kColours));
  drawing.close_group();
}

struct LoadShade {
  const DrawnMatrix& drawn;
  double max;
  bool is_drawn(size_t at) const { return drawn.values[at] > 0; }
  double place(size_t at) const { return drawn.values[at] / max; }
  static std::string colour(double place) { return load_colour(place); }
};

struct ChangeShade {
  const DrawnMatrix& before;
  const DrawnMatrix& after;
  double max;
  double change(size_t at) const { return after.values[at] - before.values[at]; }
  bool is_drawn(size_t at) const { return change(at) != 0; }
  double place(size_t at) const { return (change(at) / max + 1) / 2; }
  static std::string colour(double place) { return change_colour(2 * place - 1); }
};

// Bytes as a number of the scale's unit: legends have no room for prefixes of their own.
struct Unit {
  double bytes;
  const char* name;
};

Unit unit_of(double bytes) {
  constexpr std::array<Unit, 5> kUnits = {{{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}}};
  size_t unit = 0;
  while (unit + 1 < kUnits.size() && bytes >= kUnits[unit + 1].bytes) ++unit;
  return kUnits[unit];
}

double scale_end(double max, Unit unit) { return nice_ceiling(max / unit.bytes) * unit.bytes; }

void draw_heading(Drawing& drawing, const std::string& text) {
  drawing.text(kMarginLeft, 16, 13, Anchor::start, text);
  drawing.text(kMarginLeft, 32, 10, Anchor::start, "rows send, columns receive", "#666666");
}

void draw_load_panel(Drawing& drawing, const RunRecord& record, const DrawnMatrix& drawn, double max,
                     const std::string& heading) {
  const Unit unit = unit_of(max);
  draw_heading(drawing, heading);
  draw_names(drawing, record, drawn);
  draw_squares(drawing, drawn, LoadShade{drawn, max}, [&](int32_t from, int32_t to, size_t at) {
    return fmt::format("{} to {}: {}", square_name(record, drawn, from), square_name(record, drawn, to),
                       with_prefix(drawn.values[at], "B"));
  });
  draw_load_scale(drawing, kMarginLeft, kMarginTop + kSide + 20, max / unit.bytes, fmt::format("{} sent", unit.name));
}

void draw_change_panel(Drawing& drawing, const RunRecord& record, const DrawnMatrix& before, const DrawnMatrix& after,
                       double max, const std::string& heading) {
  const Unit unit = unit_of(max);
  const ChangeShade shade{before, after, max};
  draw_heading(drawing, heading);
  draw_names(drawing, record, after);
  draw_squares(drawing, after, shade, [&](int32_t from, int32_t to, size_t at) {
    return fmt::format("{} to {}: {}{}", square_name(record, after, from), square_name(record, after, to),
                       shade.change(at) > 0 ? "+" : "", with_prefix(shade.change(at), "B"));
  });
  draw_change_scale(drawing, kMarginLeft, kMarginTop + kSide + 20, max / unit.bytes,
                    fmt::format("{} less or more than at first", unit.name));
}

}  // namespace

std::string gpu_pairs_csv(const RunRecord& record) {
  std::string csv = "from,to,bytes\n";
  const GpuPairs& pairs = record.pairs;
  std::vector<std::string> names;
  for (int32_t cell = 0; cell < pairs.cells; ++cell) names.push_back(csv_text(cell_name(record, cell)));
  for (int32_t from = 0; from < pairs.cells; ++from)
    for (int32_t to = 0; to < pairs.cells; ++to) {
      const int64_t bytes = pairs.bytes[size_t(from) * size_t(pairs.cells) + size_t(to)];
      if (bytes > 0)
        fmt::format_to(std::back_inserter(csv), "{},{},{}\n", names[size_t(from)], names[size_t(to)], bytes);
    }
  return csv;
}

std::string gpu_pairs_svg(const RunRecord& record, const std::string& title) {
  const DrawnMatrix drawn = drawn_matrix(record);
  const double max = largest(drawn);
  Drawing drawing;
  draw_load_panel(drawing, record, drawn, scale_end(max, unit_of(max)), "Traffic between GPUs: " + title);
  return drawing.document(kPanelWidth, kPanelHeight);
}

std::string gpu_pairs_compare_svg(std::span<const RunRecord> records, std::span<const std::string> labels) {
  CHECK(records.size() >= 2);
  CHECK(labels.size() == records.size());
  std::vector<DrawnMatrix> drawn;
  double max = 0, change_max = 0;
  for (const RunRecord& record : records.first(std::min(records.size(), kComparedMax + 1))) {
    drawn.push_back(drawn_matrix(record));
    CHECK(drawn.back().values.size() == drawn.front().values.size());
    max = std::max(max, largest(drawn.back()));
    for (size_t at = 0; at < drawn.back().values.size(); ++at)
      change_max = std::max(change_max, std::abs(drawn.back().values[at] - drawn.front().values[at]));
  }
  max = scale_end(max, unit_of(max));
  change_max = scale_end(change_max, unit_of(change_max));
  Drawing drawing;
  for (size_t v = 1; v < drawn.size(); ++v) {
    const double y = double(v - 1) * kPanelHeight;
    drawing.open_group(0, y, 1);
    draw_load_panel(drawing, records[0], drawn[0], max, labels[0]);
    drawing.close_group();
    drawing.open_group(kPanelWidth, y, 1);
    draw_load_panel(drawing, records[v], drawn[v], max, labels[v]);
    drawing.close_group();
    drawing.open_group(2 * kPanelWidth, y, 1);
    draw_change_panel(drawing, records[v], drawn[0], drawn[v], change_max,
                      fmt::format("{} against {}", labels[v], labels[0]));
    drawing.close_group();
  }
  return drawing.document(3 * kPanelWidth, double(drawn.size() - 1) * kPanelHeight);
}

}  // namespace moesim
