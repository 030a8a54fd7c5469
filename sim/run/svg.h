// Drawings as SVG: a few shapes, and colours that colour-blind people can tell apart. The same drawing gives the same
// bytes everywhere.
#pragma once

#include <string>
#include <string_view>

namespace moesim {

// "#rrggbb". A load of 0 is light and 1 is dark, with brightness that falls all the way (viridis, reversed).
std::string load_colour(double load);

// From blue (-1, less) over grey (0) to orange-red (1, more).
std::string change_colour(double change);

enum class Anchor { start, middle, end };

// Squares side by side need crisp edges, or a viewer would let the ground shine through between them.
enum class Edges { smooth, crisp };

class Drawing {
 public:
  void rectangle(double x, double y, double width, double height, std::string_view fill, std::string_view title = {});
  void line(double x1, double y1, double x2, double y2, std::string_view colour, double width,
            std::string_view title = {});
  // From one point to the other, bent upwards by `rise`.
  void arc(double x1, double y1, double x2, double y2, double rise, std::string_view colour, double width,
           std::string_view title = {});
  void text(double x, double y, double size, Anchor anchor, std::string_view text, std::string_view colour = "#333333");
  // Turned by 90 degrees, so that it reads upwards; it begins at the point.
  void upright_text(double x, double y, double size, Anchor anchor, std::string_view text);
  // A shape given as SVG path data.
  void path(std::string_view data, std::string_view fill);

  void open_group(double x, double y, double scale, Edges edges = Edges::smooth);
  void close_group();

  // The whole file.
  std::string document(double width, double height) const;

 private:
  void close_with_title(std::string_view title, const char* element);

  std::string body_;
};

// How wide a text of this size is, roughly.
double text_width(std::string_view text, double size);

// The next number with one digit (or 1.5, 2.5) and zeros that is at least the value, but at least 0.0001: where a scale
// ends.
double nice_ceiling(double value);

// A strip of colours with its ends labelled: from 0 to max, or from -max to max for changes. `what` stands above it.
void draw_load_scale(Drawing& drawing, double x, double y, double max, std::string_view what);
void draw_change_scale(Drawing& drawing, double x, double y, double max, std::string_view what);
inline constexpr double kScaleWidth = 220;
inline constexpr double kScaleHeight = 40;

}  // namespace moesim
