#include "sim/config/suggest.h"

#include <algorithm>

#include "sim/config/error.h"

namespace moesim {
namespace {

constexpr size_t kNameBytesMax = 100;  // the distance costs the product of the lengths
constexpr size_t kFewNames = 16;

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return result;
}

// Damerau and Levenshtein's edit distance, in the variant that edits no substring twice.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> two_back(b.size() + 1), back(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    two_back.swap(back);
    back.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = back[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({changed, back[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_back[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& names) {
  if (wrong.size() > kNameBytesMax) return "";
  const std::string wanted = lower_case(wrong);
  std::string nearest;
  size_t distance_min = kNameBytesMax;
  for (const std::string& name : names) {
    if (name.size() > kNameBytesMax) continue;
    const size_t distance = edit_distance(wanted, lower_case(name));
    const size_t allowed = std::max<size_t>(1, std::max(wanted.size(), name.size()) / 3);
    // A name of one letter is near to every other; only its case may be wrong.
    const bool near = distance == 0 || (distance <= allowed && std::min(wanted.size(), name.size()) > 1);
    if (!near || distance >= distance_min) continue;
    nearest = name;
    distance_min = distance;
  }
  return nearest;
}

std::string suggestion(std::string_view wrong, const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(wrong, names);
  if (!nearest.empty()) return "; did you mean " + in_quotes(nearest) + "?";
  if (names.empty() || names.size() > kFewNames) return "";
  std::string text = names.size() == 1 ? "; the only one is " : "; known are ";
  for (size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : ", ") + in_quotes(names[i]);
  return text;
}

}  // namespace moesim
