#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>

#include "sim/cli/command.h"
#include "sim/cli/help.h"
#include "sim/config/error.h"
#include "sim/config/suggest.h"
#include "sim/core/check.h"

namespace moesim {

std::span<const Command> commands() {
  static const std::array all = {kRunCommand,      kCompareCommand,   kPlaceCommand,    kCheckCommand,
                                 kListCommand,     kSchemaCommand,    kNetCommand,      kTraceCommand,
                                 kTopologyCommand, kCalibrateCommand, kValidateCommand, kCompletionCommand,
                                 kManCommand};
  return all;
}

namespace {

// The first Ctrl-C asks for an end; the second ends the program at once.
void handle_interrupt(int) {
  if (interrupted.exchange(true)) _exit(kInterrupted);
}

int usage_error(const std::string& message) {
  fmt::print(stderr, "moesim: {}\n", message);
  return kBadInput;
}

// Parses what follows the command's name and runs it.
int run_command(const Command& command, const std::vector<std::string>& arguments) {
  po::options_description all = command.options();
  all.add_options()("help,h", "show this help")("positional", po::value<std::vector<std::string>>(), "");
  po::positional_options_description positional_names;
  positional_names.add("positional", -1);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(positional_names).run(), given);
    po::notify(given);
  } catch (const po::unknown_option& error) {
    std::vector<std::string> names;
    for (const auto& option : all.options())
      if (option->long_name() != "positional") names.push_back("--" + option->long_name());
    return usage_error(fmt::format("unknown option \"{}\"{}; see `moesim {} --help`", error.get_option_name(),
                                   suggestion(error.get_option_name(), names), command.name));
  } catch (const po::error& error) {
    return usage_error(fmt::format("{}; see `moesim {} --help`", error.what(), command.name));
  }
  if (given.count("help") > 0) {
    fmt::print("{}", command_help(command));
    return kOk;
  }
  const std::vector<std::string> positional = values_of(given, "positional");
  if (int(positional.size()) < command.positional_min || int(positional.size()) > command.positional_max)
    return usage_error(
        fmt::format("usage: moesim {} {}; see `moesim {} --help`", command.name, command.arguments, command.name));
  return command.run(given, positional);
}

int run_main(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    if (arguments.size() > 1)
      for (const Command& command : commands())
        if (arguments[1] == command.name) return fmt::print("{}", command_help(command)), kOk;
    fmt::print("{}", overview_help());
    return kOk;
  }
  if (arguments[0] == "--version") {
    fmt::print("moesim {}\n", MOESIM_VERSION);
    return kOk;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (arguments[0] == command.name) return run_command(command, {arguments.begin() + 1, arguments.end()});
    names.push_back(command.name);
  }
  return usage_error(
      fmt::format("unknown command \"{}\"{}; see `moesim --help`", arguments[0], suggestion(arguments[0], names)));
}

}  // namespace
}  // namespace moesim

int main(int argc, char** argv) {
  struct sigaction action{};
  action.sa_handler = moesim::handle_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  try {
    return moesim::run_main({argv + 1, argv + argc});
  } catch (const moesim::ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return moesim::kBadInput;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "moesim: out of memory\n");
    return moesim::kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr,
               "moesim {}: internal error: {}\nThis is a bug in moesim. Please report it with the command line and the "
               "scenario.\n",
               MOESIM_VERSION, error.what());
    return moesim::kInternalError;
  }
}
