#include "sim/run/link_use.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>

namespace moesim {

double utilisation(double bytes, Rate capacity, Duration time) {
  const double could_carry = capacity.bytes_per_s * time.seconds();
  return could_carry > 0 ? std::min(1.0, bytes / could_carry) : 0;
}

double flows_mean(const LinkUse& use) { return use.busy > Duration{} ? use.flow_s / use.busy.seconds() : 0; }

std::vector<LinkId> busiest_links(std::span<const Link> links, std::span<const LinkUse> use) {
  std::vector<LinkId> busiest;
  for (size_t link = 0; link < use.size(); ++link)
    if (use[link].carried > Bytes{}) busiest.push_back(LinkId(link));
  const auto part = [&](LinkId link) {
    return double(use[index(link)].carried.count) / links[index(link)].capacity.bytes_per_s;
  };
  std::stable_sort(busiest.begin(), busiest.end(), [&](LinkId a, LinkId b) { return part(a) > part(b); });
  return busiest;
}

std::string link_use_csv(const LinkRecorder& recorder, std::span<const Link> links, std::span<const LinkId> shown,
                         const std::function<std::string(LinkId)>& name, Time end, bool whole) {
  std::string csv = "link,begin_s,end_s,bytes,utilisation\n";
  const Duration width = recorder.width();
  for (const LinkId link : shown.first(std::min(shown.size(), kLinksOverTimeMax))) {
    const std::vector<double>& bytes = recorder.bytes(link);
    const std::string label = csv_text(name(link));
    for (size_t bucket = 0; bucket < bytes.size(); ++bucket) {
      const Time begin = Time{} + int64_t(bucket) * width;
      if (begin >= end || (whole && begin + width > end)) break;
      const Time until = std::min(begin + width, end);
      fmt::format_to(std::back_inserter(csv), "{},{},{},{},{}\n", label, begin.seconds(), until.seconds(),
                     bytes[bucket], utilisation(bytes[bucket], links[index(link)].capacity, until - begin));
    }
  }
  return csv;
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace moesim
