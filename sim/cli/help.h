// Help, man page and shell completion, all made from the table of commands.
#pragma once

#include <string>

#include "sim/cli/command.h"

namespace moesim {

std::string overview_help();
std::string command_help(const Command& command);
std::string man_page();                                   // roff, section 1
std::string completion_script(const std::string& shell);  // bash, zsh or fish; anything else is a ConfigError

}  // namespace moesim
