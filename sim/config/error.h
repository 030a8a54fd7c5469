// What is wrong with the user's input: every fault at once, each with its place.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace moesim {

// The line of what a flag of the command line has set.
inline constexpr int kFlagLine = -1;

struct Fault {
  int line = 0;             // 1-based line of the file; 0 where there is none, or kFlagLine
  std::string path;         // JSON pointer, "" for the whole file
  std::string message;      // "type must be string, but is number"
  std::string source = {};  // the file, where it is not the one that the ConfigError names
};

// Thrown once, after everything has been looked at. what() is the whole message, one line a fault:
//   scenarios/bad.json: 2 faults
//     line 12 /cluster/gpu/name: type must be string, but is number
//     line 17 /cluster/gpu/hbn: unknown key; did you mean "hbm"?
// A path of kFlagLine is shown as the flag that set it: "--set /cluster/gpu/hbm: ...".
class ConfigError : public std::runtime_error {
 public:
  ConfigError(const std::string& source, std::vector<Fault> faults);
  ConfigError(const std::string& source, const std::string& message);  // one fault of the whole file

  const std::string& source() const { return source_; }
  const std::vector<Fault>& faults() const { return faults_; }

 private:
  std::string source_;
  std::vector<Fault> faults_;
};

// Throws what has been collected, by file and line, if it is anything.
void throw_if_any(const std::string& source, std::vector<Fault> faults);

// Adds the faults of another file to a collection, under that file's name.
void add_faults_of(const ConfigError& error, std::vector<Fault>& faults);

// The text in double quotes, fit for a terminal: control characters and bytes that are not UTF-8 are escaped, and what
// is longer than 60 bytes is cut.
std::string in_quotes(std::string_view text);

// The same without quotes and without a limit.
std::string printable(std::string_view text);

// The length of the UTF-8 character that the text starts with; 0 if it starts with none.
size_t utf8_character(std::string_view text);

}  // namespace moesim
