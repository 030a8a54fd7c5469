// The commands of moesim. Each lies in a file of its own; help, man page and shell completion are made from the table.
#pragma once

#include <boost/program_options.hpp>
#include <span>
#include <string>
#include <vector>

#include "sim/core/interrupt.h"

namespace moesim {

namespace po = boost::program_options;

// Exit codes: the work was done; the input or the command line is wrong; a bug of ours; stopped by Ctrl-C.
constexpr int kOk = 0;
constexpr int kInternalError = 1;
constexpr int kBadInput = 2;
constexpr int kInterrupted = 130;

struct Command {
  const char* name;
  const char* arguments;  // "SCENARIO", as the usage line shows it
  const char* summary;    // one line
  const char* examples;   // whole lines, each beginning with "moesim"
  po::options_description (*options)();
  int positional_min;
  int positional_max;
  int (*run)(const po::variables_map& given, const std::vector<std::string>& positional);
};

// In the order in which help shows them.
std::span<const Command> commands();

extern const Command kRunCommand;
extern const Command kCompareCommand;
extern const Command kPlaceCommand;
extern const Command kCheckCommand;
extern const Command kListCommand;
extern const Command kSchemaCommand;
extern const Command kNetCommand;
extern const Command kTraceCommand;
extern const Command kCalibrateCommand;
extern const Command kValidateCommand;
extern const Command kTopologyCommand;
extern const Command kCompletionCommand;
extern const Command kManCommand;

// Values of an option that may be given several times; none is an empty list.
std::vector<std::string> values_of(const po::variables_map& given, const char* option);

// "text" or "json"; anything else is a ConfigError.
bool wants_json(const po::variables_map& given);

// --seed N as the setting that it stands for, after those of --set.
std::vector<std::string> settings_of(const po::variables_map& given);

// Host time, CPU time and peak memory, for --stats, on stderr.
void print_stats(double seconds, int64_t events);

}  // namespace moesim
