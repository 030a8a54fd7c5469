#include "sim/config/error.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace moesim {
namespace {

// More than this helps nobody, and a hostile file could have millions.
constexpr size_t kFaultsShown = 100;
constexpr size_t kQuotedBytesMax = 60;

std::string fault_text(const Fault& fault) {
  std::string text;
  if (!fault.source.empty()) text += fault.source + (fault.line == 0 && fault.path.empty() ? ": " : " ");
  if (fault.line > 0) text += fmt::format("line {}", fault.line) + (fault.path.empty() ? ": " : " ");
  if (!fault.path.empty()) text += (fault.line == kFlagLine ? "--set " : "") + printable(fault.path) + ": ";
  return text + fault.message;
}

std::string whole_message(const std::string& source, const std::vector<Fault>& faults) {
  if (faults.size() == 1 && faults[0].line == 0 && faults[0].path.empty() && faults[0].source.empty())
    return source + ": " + faults[0].message;
  std::string text = fmt::format("{}: {} fault{}", source, faults.size(), faults.size() == 1 ? "" : "s");
  for (size_t i = 0; i < std::min(faults.size(), kFaultsShown); ++i) text += "\n  " + fault_text(faults[i]);
  if (faults.size() > kFaultsShown) text += fmt::format("\n  and {} more", faults.size() - kFaultsShown);
  return text;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

ConfigError::ConfigError(const std::string& source, std::vector<Fault> faults)
    : std::runtime_error(whole_message(source, faults)), source_(source), faults_(std::move(faults)) {}

ConfigError::ConfigError(const std::string& source, const std::string& message)
    : ConfigError(source, std::vector<Fault>{{0, "", message}}) {}

void throw_if_any(const std::string& source, std::vector<Fault> faults) {
  if (faults.empty()) return;
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
    return a.source != b.source ? a.source < b.source : a.line < b.line;
  });
  throw ConfigError(source, std::move(faults));
}

void add_faults_of(const ConfigError& error, std::vector<Fault>& faults) {
  for (Fault fault : error.faults()) {
    if (fault.source.empty()) fault.source = error.source();
    faults.push_back(std::move(fault));
  }
}

size_t utf8_character(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xC2 ? 0
                        : byte(0) < 0xE0 ? 2
                        : byte(0) < 0xF0 ? 3
                        : byte(0) < 0xF5 ? 4
                                         : 0;
  if (length == 0 || text.size() < length) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + std::ptrdiff_t(length), is_continuation)) return 0;
  if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;   // longer than need be
  if (byte(0) == 0xED && byte(1) >= 0xA0) return 0;  // half of a surrogate pair
  if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;   // longer than need be
  if (byte(0) == 0xF4 && byte(1) >= 0x90) return 0;  // beyond U+10FFFF
  return length;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t length = utf8_character(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    // U+0080 to U+009F are control characters too: some terminals obey them.
    const bool is_control =
        byte < 0x20 || byte == 0x7F || (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (length == 0 || is_control) {
      result += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : fmt::format("\\x{:02x}", byte);
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

std::string in_quotes(std::string_view text) {
  if (text.size() <= kQuotedBytesMax) return '"' + printable(text) + '"';
  size_t end = kQuotedBytesMax;
  while (end > 0 && is_continuation(text[end])) --end;  // cuts no character in two
  return '"' + printable(text.substr(0, end)) + "...\"";
}

}  // namespace moesim
