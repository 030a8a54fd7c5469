#include "sim/cli/help.h"

#include <fmt/format.h>

#include <iterator>
#include <sstream>

#include "sim/cli/kinds.h"
#include "sim/config/error.h"

namespace moesim {
namespace {

std::vector<std::string> option_names(const Command& command) {
  std::vector<std::string> names = {"--help"};
  const po::options_description options = command.options();
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

std::string joined(const std::vector<std::string>& words, const char* separator = " ") {
  return fmt::format("{}", fmt::join(words, separator));
}

// Hyphens and leading dots mean something to roff.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\')
      escaped += "\\e";
    else if (c == '-')
      escaped += "\\-";
    else if (c == '\'' && escaped.empty())
      escaped += "\\(aq";
    else
      escaped += c;
  }
  return escaped;
}

std::string command_words() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.push_back(command.name);
  return joined(names);
}

// One completion for bash; zsh runs it through bashcompinit.
std::string bash_script() {
  std::string cases;
  for (const Command& command : commands())
    cases += fmt::format("    {}) words=\"{}\" ;;\n", command.name, joined(option_names(command)));
  return fmt::format(R"(_moesim() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{} help --help --version" -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [ "${{COMP_WORDS[1]}}" = list ]; then
    COMPREPLY=($(compgen -W "{}" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _moesim moesim
)",
                     command_words(), cases, joined(list_kind_names()));
}

std::string fish_script() {
  std::string script = "complete -c moesim -n __fish_use_subcommand -l version -d 'show the version'\n";
  for (const Command& command : commands()) {
    script +=
        fmt::format("complete -c moesim -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name, command.summary);
    const po::options_description options = command.options();
    for (const auto& option : options.options())
      script += fmt::format("complete -c moesim -n '__fish_seen_subcommand_from {}' -l {}\n", command.name,
                            option->long_name());
  }
  return script + fmt::format("complete -c moesim -n '__fish_seen_subcommand_from list' -f -a '{}'\n",
                              joined(list_kind_names()));
}

}  // namespace

std::string overview_help() {
  std::string out =
      "moesim: a discrete-event simulator of Mixture-of-Experts clusters\n\nusage: moesim COMMAND [ARGUMENTS] "
      "[OPTIONS]\n\n";
  for (const Command& command : commands())
    fmt::format_to(std::back_inserter(out), "  {:<12}{}\n", command.name, command.summary);
  return out +
         "\n`moesim COMMAND --help` shows a command's options, with examples. Begin with\n\n"
         "  moesim run docs/scenarios/quickstart-prefill.json\n\n"
         "Exit codes: 0 done, 2 the input is wrong, 1 a bug in moesim, 130 stopped by Ctrl-C.\n";
}

std::string command_help(const Command& command) {
  po::options_description options("options", 100, 60);
  options.add(command.options());
  std::ostringstream listed;
  listed << command.options();
  return fmt::format("usage: moesim {} {} [OPTIONS]\n\n{}.\n\n{}\nexamples:\n{}", command.name, command.arguments,
                     command.summary, listed.str(), command.examples);
}

std::string man_page() {
  std::string out = ".TH MOESIM 1 \"\" \"moesim " MOESIM_VERSION
                    "\" \"User Commands\"\n.SH NAME\nmoesim \\- simulate Mixture\\-of\\-Experts clusters\n"
                    ".SH SYNOPSIS\n.B moesim\n.I COMMAND\n[ARGUMENTS] [OPTIONS]\n.SH DESCRIPTION\n"
                    "moesim replays expert\\-routing traces through models of GPUs, NICs and networks, and says where "
                    "the time goes.\n"
                    ".SH COMMANDS\n";
  for (const Command& command : commands()) {
    fmt::format_to(std::back_inserter(out), ".SS {} {}\n{}.\n", roff(command.name), roff(command.arguments),
                   roff(command.summary));
    const po::options_description options = command.options();
    for (const auto& option : options.options())
      fmt::format_to(std::back_inserter(out), ".TP\n.B \\-\\-{}\n{}\n", roff(option->long_name()),
                     roff(option->description()));
    fmt::format_to(std::back_inserter(out), ".PP\n.EX\n{}.EE\n", roff(command.examples));
  }
  return out +
         ".SH EXIT STATUS\n0 done; 2 the input or the command line is wrong; 1 a bug in moesim; 130 stopped by "
         "Ctrl\\-C.\n"
         ".SH ENVIRONMENT\n.TP\n.B MOESIM_DATA_DIR\nfolder that holds models/, where it is not found by itself\n";
}

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script();
  if (shell == "fish") return fish_script();
  throw ConfigError("completion", fmt::format("there is none for \"{}\"; known are bash, zsh, fish", shell));
}

}  // namespace moesim
