#include "sim/run/svg.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace moesim {
namespace {

struct Rgb {
  double red, green, blue;
};

// Stops at equal distances.
template <size_t kStops>
std::string colour_between(const std::array<Rgb, kStops>& stops, double place) {
  const double at = std::clamp(place, 0.0, 1.0) * double(kStops - 1);
  const size_t stop = std::min(size_t(at), kStops - 2);
  const double part = at - double(stop);
  const Rgb &a = stops[stop], &b = stops[stop + 1];
  const auto mix = [&](double from, double to) { return int(std::lround(from + part * (to - from))); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue));
}

// Viridis from its light end to its dark one; the very light yellow is replaced, since it would vanish on white.
constexpr std::array<Rgb, 6> kLoadStops = {
    {{214, 226, 120}, {143, 215, 68}, {53, 183, 121}, {33, 145, 140}, {59, 82, 139}, {68, 1, 84}}};
constexpr std::array<Rgb, 5> kChangeStops = {
    {{5, 48, 97}, {67, 147, 195}, {222, 222, 222}, {244, 145, 80}, {150, 20, 20}}};

// Without the noise of binary fractions, so that files are small.
std::string number(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

const char* anchor_name(Anchor anchor) {
  return anchor == Anchor::start ? "start" : anchor == Anchor::middle ? "middle" : "end";
}

template <class Colour>
void draw_scale(Drawing& drawing, double x, double y, const Colour& colour, std::string_view what,
                const std::array<std::string, 3>& labels) {
  constexpr int kSteps = 44;
  constexpr double kStripTop = 14, kStripHeight = 12, kTextSize = 10;
  drawing.text(x, y + 9, kTextSize, Anchor::start, what);
  drawing.open_group(0, 0, 1, Edges::crisp);
  for (int step = 0; step < kSteps; ++step)
    drawing.rectangle(x + step * kScaleWidth / kSteps, y + kStripTop, kScaleWidth / kSteps + 0.3, kStripHeight,
                      colour((step + 0.5) / kSteps));
  drawing.close_group();
  drawing.text(x, y + 37, kTextSize, Anchor::start, labels[0]);
  drawing.text(x + kScaleWidth / 2, y + 37, kTextSize, Anchor::middle, labels[1]);
  drawing.text(x + kScaleWidth, y + 37, kTextSize, Anchor::end, labels[2]);
}

}  // namespace

std::string load_colour(double load) { return colour_between(kLoadStops, load); }
std::string change_colour(double change) { return colour_between(kChangeStops, (change + 1) / 2); }

void Drawing::close_with_title(std::string_view title, const char* element) {
  if (title.empty())
    body_ += "/>\n";
  else
    fmt::format_to(std::back_inserter(body_), "><title>{}</title></{}>\n", escaped(title), element);
}

void Drawing::rectangle(double x, double y, double width, double height, std::string_view fill,
                        std::string_view title) {
  fmt::format_to(std::back_inserter(body_), R"(<rect x="{}" y="{}" width="{}" height="{}" fill="{}")", number(x),
                 number(y), number(width), number(height), fill);
  close_with_title(title, "rect");
}

void Drawing::line(double x1, double y1, double x2, double y2, std::string_view colour, double width,
                   std::string_view title) {
  fmt::format_to(std::back_inserter(body_), R"(<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}")",
                 number(x1), number(y1), number(x2), number(y2), colour, number(width));
  close_with_title(title, "line");
}

void Drawing::arc(double x1, double y1, double x2, double y2, double rise, std::string_view colour, double width,
                  std::string_view title) {
  fmt::format_to(std::back_inserter(body_), R"(<path d="M{} {}Q{} {} {} {}" fill="none" stroke="{}" stroke-width="{}")",
                 number(x1), number(y1), number((x1 + x2) / 2), number(std::min(y1, y2) - 2 * rise), number(x2),
                 number(y2), colour, number(width));
  close_with_title(title, "path");
}

void Drawing::text(double x, double y, double size, Anchor anchor, std::string_view text, std::string_view colour) {
  fmt::format_to(std::back_inserter(body_),
                 "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", number(x),
                 number(y), number(size), anchor_name(anchor), colour, escaped(text));
}

void Drawing::upright_text(double x, double y, double size, Anchor anchor, std::string_view text) {
  fmt::format_to(std::back_inserter(body_),
                 "<text transform=\"translate({} {}) rotate(-90)\" font-size=\"{}\" text-anchor=\"{}\" "
                 "fill=\"#333333\">{}</text>\n",
                 number(x), number(y), number(size), anchor_name(anchor), escaped(text));
}

void Drawing::path(std::string_view data, std::string_view fill) {
  fmt::format_to(std::back_inserter(body_), "<path fill=\"{}\" d=\"{}\"/>\n", fill, data);
}

void Drawing::open_group(double x, double y, double scale, Edges edges) {
  fmt::format_to(std::back_inserter(body_), "<g transform=\"translate({} {}) scale({:.4f})\"{}>\n", number(x),
                 number(y), scale, edges == Edges::crisp ? " shape-rendering=\"crispEdges\"" : "");
}

void Drawing::close_group() { body_ += "</g>\n"; }

std::string Drawing::document(double width, double height) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n{2}</svg>\n",
      number(width), number(height), body_);
}

double text_width(std::string_view text, double size) { return 0.62 * size * double(text.size()); }

double nice_ceiling(double value) {
  for (double step = 1e-4;; step *= 10)
    for (const double nice : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0})
      if (nice * step >= value || step > 1e300) return nice * step;
}

void draw_load_scale(Drawing& drawing, double x, double y, double max, std::string_view what) {
  const std::array<std::string, 3> labels = {"0", fmt::format("{:.4g}", max / 2), fmt::format("{:.4g}", max)};
  draw_scale(drawing, x, y, load_colour, what, labels);
}

void draw_change_scale(Drawing& drawing, double x, double y, double max, std::string_view what) {
  const std::array<std::string, 3> labels = {fmt::format("{:.4g} less", max), "0", fmt::format("{:.4g} more", max)};
  draw_scale(drawing, x, y, [](double place) { return change_colour(2 * place - 1); }, what, labels);
}

}  // namespace moesim
