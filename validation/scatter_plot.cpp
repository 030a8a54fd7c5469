#include "validation/scatter_plot.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>

#include "sim/core/math.h"
#include "sim/run/svg.h"

namespace moesim {
namespace {

constexpr double kSide = 620;  // of the square that points lie in
constexpr double kLeft = 86;
constexpr double kTop = 56;
constexpr double kLegendWidth = 330;
constexpr double kBottom = 58;
constexpr double kPoint = 2.6;  // radius
constexpr const char* kDropped = "#c4c4c4";
// Okabe and Ito's, which colour-blind people can tell apart, then darker and lighter ones.
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                                 "#882255", "#117733", "#332288", "#aa4499", "#999933", "#44aa99",
                                 "#661100", "#6699cc", "#b8860b", "#5f5f5f"};

double log10_of(double value) { return exact_log(value) / exact_log(10.0); }

// The decades that hold all times.
struct Axes {
  int low = 0;
  int high = 1;

  double along(double us) const { return (log10_of(us) - low) / (high - low); }
  double x(double us) const { return kLeft + kSide * along(us); }
  double y(double us) const { return kTop + kSide * (1 - along(us)); }
};

bool is_shown(const Comparison& one) { return one.predicted_us > 0 && one.measured_us > 0; }

Axes axes_of(std::span<const Comparison> compared) {
  double least = 0, most = 0;
  for (const Comparison& one : compared) {
    if (!is_shown(one)) continue;
    const auto [low, high] = std::minmax(one.measured_us, one.predicted_us);
    least = least == 0 ? low : std::min(least, low);
    most = std::max(most, high);
  }
  if (least == 0) return {};
  Axes axes{int(std::floor(log10_of(least))), int(std::ceil(log10_of(most)))};
  axes.high = std::max(axes.high, axes.low + 1);
  return axes;
}

std::string decade(int power) {
  if (power < 0) return fmt::format("{:.{}f}", power == -1 ? 0.1 : 0.01, -power);
  std::string digits = "1" + std::string(size_t(power), '0');
  for (int place = int(digits.size()) - 3; place > 0; place -= 3) digits.insert(size_t(place), ",");
  return digits;
}

// predicted = measured * ratio, as far as it lies in the square.
void draw_ratio(Drawing& drawing, const Axes& axes, double ratio, const char* colour, double width) {
  const double shift = log10_of(ratio) / (axes.high - axes.low);
  const double from = std::max(0.0, -shift);
  const double to = std::min(1.0, 1 - shift);
  const auto x = [&](double part) { return kLeft + kSide * part; };
  const auto y = [&](double part) { return kTop + kSide * (1 - part); };
  drawing.line(x(from), y(from + shift), x(to), y(to + shift), colour, width);
}

void draw_axes(Drawing& drawing, const Axes& axes) {
  drawing.rectangle(kLeft, kTop, kSide, kSide, "#fafbfc");
  for (int power = axes.low; power <= axes.high; ++power) {
    const double part = double(power - axes.low) / (axes.high - axes.low);
    const double x = kLeft + kSide * part;
    const double y = kTop + kSide * (1 - part);
    drawing.line(x, kTop, x, kTop + kSide, "#e3e6e9", 0.8);
    drawing.line(kLeft, y, kLeft + kSide, y, "#e3e6e9", 0.8);
    drawing.text(x, kTop + kSide + 16, 11, Anchor::middle, decade(power));
    drawing.text(kLeft - 6, y + 4, 11, Anchor::end, decade(power));
  }
  draw_ratio(drawing, axes, 1, "#555555", 1.2);
  draw_ratio(drawing, axes, 1.1, "#9aa0a6", 0.8);
  draw_ratio(drawing, axes, 1 / 1.1, "#9aa0a6", 0.8);
  drawing.text(kLeft + kSide / 2, kTop + kSide + 40, 13, Anchor::middle, "measured, us");
  drawing.upright_text(20, kTop + kSide / 2, 13, Anchor::middle, "predicted, us");
}

// Appends a small disc to path data.
void append_point(std::string& data, double x, double y) {
  fmt::format_to(std::back_inserter(data), "M{:.1f} {:.1f}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", x - kPoint, y,
                 fmt::arg("r", kPoint), fmt::arg("d", 2 * kPoint));
}

struct Cloud {
  std::string data;
  std::vector<double> errors;
};

void draw_legend_entry(Drawing& drawing, int row, const char* colour, const std::string& text) {
  const double y = kTop + 12 + 20 * row;
  drawing.rectangle(kLeft + kSide + 22, y - 9, 10, 10, colour);
  drawing.text(kLeft + kSide + 38, y, 11, Anchor::start, text);
}

}  // namespace

std::string scatter_plot_svg(std::span<const Comparison> compared, const std::string& title) {
  const Axes axes = axes_of(compared);
  std::map<std::string, Cloud> kinds;
  std::string dropped;
  int64_t dropped_points = 0;
  for (const Comparison& one : compared) {
    if (!is_shown(one)) continue;
    if (one.dropped.empty()) {
      append_point(kinds[one.kind].data, axes.x(one.measured_us), axes.y(one.predicted_us));
      kinds[one.kind].errors.push_back(one.error());
    } else {
      append_point(dropped, axes.x(one.measured_us), axes.y(one.predicted_us));
      ++dropped_points;
    }
  }
  Drawing drawing;
  drawing.text(kLeft, 28, 16, Anchor::start, title);
  drawing.text(kLeft, 46, 11, Anchor::start, "the lines are 10 % too long, exact, and as much too short", "#555555");
  draw_axes(drawing, axes);
  if (!dropped.empty()) drawing.path(dropped, kDropped);
  int row = 0;
  for (const auto& [kind, cloud] : kinds) {
    const char* const colour = kColours[size_t(row) % kColours.size()];
    drawing.path(cloud.data, colour);
    const ErrorSummary summary = error_summary(cloud.errors);
    draw_legend_entry(drawing, row++, colour,
                      fmt::format("{}: {} points, median {:.1f} %", kind, summary.n, 100 * summary.median));
  }
  if (!dropped.empty()) draw_legend_entry(drawing, row++, kDropped, fmt::format("dropped: {} points", dropped_points));
  return drawing.document(kLeft + kSide + kLegendWidth, std::max(kTop + kSide + kBottom, kTop + 40 + 20 * row));
}

}  // namespace moesim
