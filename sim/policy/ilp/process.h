// Other programs, which may crash, hang or write what they like.
#pragma once

#include <filesystem>
#include <string>

namespace moesim {

struct ProcessEnd {
  std::string text;  // "" where it came back with status 0; else in words: "was killed by signal 11"
  bool wall_limited = false;
  bool interrupted = false;
};

// Runs a command of the shell, with what it prints in the file. It leads a process group of its own, and what is left
// of that is killed when the limit is over, on Ctrl-C, and when it has ended.
ProcessEnd run_process(const std::string& command, const std::filesystem::path& output, double wall_seconds);

// Where PATH has this program.
bool has_program(const std::string& name);

// A folder of its own for the files of one run, removed with all that lies in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace moesim
