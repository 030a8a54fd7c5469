#include "sim/run/trace_picture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "sim/run/svg.h"

namespace moesim {
namespace {

constexpr size_t kColumnsMax = 128;  // squares of a row; more experts share one, which shows the hottest of them
constexpr double kMapWidth = 640;
constexpr double kLeft = 60;
constexpr double kTop = 110;
constexpr double kBarsWidth = 110;
constexpr double kGap = 26;

// A column of bars, one a layer.
struct Bars {
  const char* name;
  std::function<double(const LayerStatistics&)> value;
  const char* unit;
};

std::vector<Bars> all_bars() {
  return {{"hottest / mean", [](const LayerStatistics& l) { return l.max_over_mean; }, ""},
          {"bits of the next",
           [](const LayerStatistics& l) { return l.to_next ? l.to_next->mutual_information_bits : 0; }, " bit"},
          {"right by token id",
           [](const LayerStatistics& l) { return l.token_table ? 100 * l.token_table->accuracy : 0; }, " %"},
          {"drift, a tenth", [](const LayerStatistics& l) { return 100 * l.drift.neighbours; }, " %"}};
}

std::vector<double> row_of(const LayerStatistics& layer) {
  int64_t total = 0;
  for (const int64_t count : layer.load) total += count;
  const size_t shown = std::min(layer.load.size(), kColumnsMax);
  std::vector<double> row;
  for (size_t column = 0; column < shown; ++column) {
    const auto begin = layer.load.begin() + ptrdiff_t(column * layer.load.size() / shown);
    const auto end = layer.load.begin() + ptrdiff_t((column + 1) * layer.load.size() / shown);
    row.push_back(total == 0 ? 0 : double(*std::max_element(begin, end)) * double(layer.load.size()) / double(total));
  }
  return row;
}

void draw_map(Drawing& drawing, const TraceStatistics& trace, double height, double scale) {
  drawing.open_group(0, 0, 1, Edges::crisp);
  for (size_t i = 0; i < trace.by_layer.size(); ++i) {
    const std::vector<double> row = row_of(trace.by_layer[i]);
    const double width = kMapWidth / double(row.size());
    for (size_t column = 0; column < row.size(); ++column)
      drawing.rectangle(kLeft + double(column) * width, kTop + double(i) * height, width, height,
                        load_colour(row[column] / scale),
                        trace.by_layer.size() * row.size() > 4096
                            ? ""
                            : fmt::format("layer {}, expert {}: {:.2f} x mean", trace.by_layer[i].layer,
                                          column * trace.by_layer[i].load.size() / row.size(), row[column]));
  }
  drawing.close_group();
}

void draw_bars(Drawing& drawing, const TraceStatistics& trace, const Bars& bars, double left, double height) {
  double most = 0;
  for (const LayerStatistics& layer : trace.by_layer) most = std::max(most, bars.value(layer));
  const double scale = nice_ceiling(most);
  drawing.text(left, kTop - 22, 11, Anchor::start, bars.name);
  drawing.text(left, kTop - 8, 9, Anchor::start, fmt::format("0 to {:.4g}{}", scale, bars.unit));
  for (size_t i = 0; i < trace.by_layer.size(); ++i) {
    const double value = bars.value(trace.by_layer[i]);
    drawing.rectangle(left, kTop + (double(i) + 0.1) * height, kBarsWidth * value / scale, 0.8 * height, "#4878a8",
                      fmt::format("layer {}: {:.3g}{}", trace.by_layer[i].layer, value, bars.unit));
  }
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string cells(const std::vector<std::string>& values, const char* element) {
  std::string row = "<tr>";
  for (const std::string& value : values) row += fmt::format("<{0}>{1}</{0}>", element, escaped(value));
  return row + "</tr>\n";
}

std::string number(double value) { return fmt::format("{:.3f}", value); }

std::string layer_table(const TraceStatistics& trace) {
  std::string table = "<table>\n" + cells({"layer", "hottest / mean", "same of 8 ranks", "Gini", "entropy, bit",
                                           "Zipf exponent", "Zipf error", "log-normal sigma", "log-normal error",
                                           "mutual information, bit", "concentration", "right by token id",
                                           "right by popularity", "drift", "drift, ends", "noise"},
                                          "th");
  for (const LayerStatistics& l : trace.by_layer)
    table +=
        cells({std::to_string(l.layer), number(l.max_over_mean),
               l.max_over_mean_ep8 ? number(*l.max_over_mean_ep8) : "", number(l.gini), number(l.entropy_bits),
               number(l.zipf_exponent), number(l.zipf_error), number(l.log_normal_sigma), number(l.log_normal_error),
               l.to_next ? number(l.to_next->mutual_information_bits) : "",
               l.to_next ? number(l.to_next->concentration) : "", l.token_table ? number(l.token_table->accuracy) : "",
               l.token_table ? number(l.token_table->accuracy_by_popularity) : "", number(l.drift.neighbours),
               number(l.drift.ends), number(l.drift.chance)},
              "td");
  return table + "</table>\n";
}

std::string domain_table(const TraceStatistics& trace) {
  if (trace.by_domain.empty()) return "";
  std::string table = "<h2>Hottest expert over the mean, within a domain</h2>\n<table>\n";
  std::vector<std::string> head{"domain", "tokens"};
  for (const LayerStatistics& layer : trace.by_layer) head.push_back(fmt::format("layer {}", layer.layer));
  table += cells(head, "th");
  for (const DomainStatistics& domain : trace.by_domain) {
    std::vector<std::string> row{domain.name, std::to_string(domain.tokens)};
    for (const double skew : domain.max_over_mean) row.push_back(fmt::format("{:.2f}", skew));
    table += cells(row, "td");
  }
  return table + "</table>\n";
}

}  // namespace

std::string trace_picture(const TraceStatistics& trace) {
  const double height = std::clamp(400.0 / double(trace.layers), 3.0, 22.0);
  double most = 1;
  for (const LayerStatistics& layer : trace.by_layer) most = std::max(most, layer.max_over_mean);
  const double scale = nice_ceiling(most);

  Drawing drawing;
  drawing.text(kLeft, 24, 15, Anchor::start,
               fmt::format("{} tokens, {} layers, top-{} of {} experts", trace.tokens, trace.layers, trace.top_k,
                           trace.experts));
  draw_load_scale(drawing, kLeft, 44, scale, "load of an expert over the mean");
  draw_map(drawing, trace, height, scale);
  const size_t step = size_t(std::max(1.0, 10 / height));
  for (size_t i = 0; i < trace.by_layer.size(); i += step)
    drawing.text(kLeft - 6, kTop + (double(i) + 0.5) * height + 3, 9, Anchor::end,
                 fmt::format("{}", trace.by_layer[i].layer));
  drawing.upright_text(18, kTop + height * double(trace.layers) / 2, 11, Anchor::middle, "layer");
  const double bottom = kTop + height * double(trace.layers);
  drawing.text(kLeft + kMapWidth / 2, bottom + 18, 11, Anchor::middle, "expert");
  double left = kLeft + kMapWidth + kGap;
  for (const Bars& bars : all_bars()) {
    draw_bars(drawing, trace, bars, left, height);
    left += kBarsWidth + kGap;
  }
  return drawing.document(left, bottom + 30);
}

std::string trace_page(const TraceStatistics& trace) {
  const std::string picture = trace_picture(trace);
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Routing trace</title>\n<style>body "
      "{font-family: sans-serif; margin: 24px} table {border-collapse: collapse; font-size: 13px} td, th {border: 1px "
      "solid #ccc; padding: 2px 7px; text-align: right} th {background: #f2f2f2}</style></head>\n<body>\n<h1>Routing "
      "trace</h1>\n";
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) fmt::format_to(std::back_inserter(page), "<p>{}: {}</p>\n", name, escaped(value));
  };
  line("Model", trace.model);
  line("Source", trace.source);
  line("Recorded", trace.recorded);
  line("Arrays", fmt::format("{}", fmt::join(trace.arrays, ", ")));
  for (const std::string& note : trace.notes) line("Note", note);
  page += picture.substr(picture.find("<svg"));
  page += "<h2>Layers</h2>\n" + layer_table(trace) + domain_table(trace);
  return page + "</body>\n</html>\n";
}

}  // namespace moesim
