#include "validation/bench/machine.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

namespace moesim::bench {
namespace {

using nlohmann::ordered_json;

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::string output_of(const std::string& command) {
  FILE* const pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  std::array<char, 4096> block{};
  while (const size_t got = fread(block.data(), 1, block.size(), pipe)) text.append(block.data(), got);
  return pclose(pipe) == 0 ? text : "";
}

ordered_json values_of_line(std::string_view line, const std::vector<std::string>& names) {
  ordered_json values = ordered_json::object();
  std::istringstream in{std::string(line)};
  std::string value;
  for (size_t i = 0; i < names.size() && std::getline(in, value, ','); ++i) {
    value = trimmed(value);
    if (value.empty() || value.front() == '[' || value == "N/A") continue;
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (*end == '\0')
      values[names[i]] = number;
    else
      values[names[i]] = value;
  }
  return values;
}

ordered_json gpu_state(const std::string& pci_address) {
  const std::string line =
      first_line(output_of("nvidia-smi --id=" + pci_address +
                           " --query-gpu=driver_version,clocks.max.sm,clocks.max.memory,clocks.sm,clocks.mem,"
                           "power.limit,power.draw,temperature.gpu --format=csv,noheader,nounits"));
  return values_of_line(line, {"driver", "sm_clock_max_mhz", "memory_clock_max_mhz", "sm_clock_start_mhz",
                               "memory_clock_start_mhz", "power_limit_w", "power_start_w", "temperature_start_c"});
}

std::string link_topology() {
  return std::regex_replace(output_of("nvidia-smi topo -m"), std::regex("\x1b\\[[0-9;]*m"), "");  // it underlines
}

CpuDescription read_cpuinfo(std::string_view cpuinfo) {
  CpuDescription cpu;
  std::set<std::string> sockets;
  std::set<std::pair<std::string, std::string>> cores;
  std::string socket = "0";
  std::istringstream in{std::string(cpuinfo)};
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = trimmed(line.substr(0, colon));
    const std::string value = trimmed(line.substr(colon + 1));
    if (key == "processor") ++cpu.threads;
    if (key == "model name") cpu.model = value;
    if (key == "physical id") sockets.insert(socket = value);
    if (key == "core id") cores.insert({socket, value});
  }
  cpu.sockets = std::max(1, int(sockets.size()));
  cpu.cores = cores.empty() ? cpu.threads : int(cores.size());
  return cpu;
}

int usable_threads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) > 0) return CPU_COUNT(&mask);
  return std::max(1, int(std::thread::hardware_concurrency()));
}

ordered_json host_description() {
  std::ostringstream text;
  text << std::ifstream("/proc/cpuinfo").rdbuf();
  const CpuDescription cpu = read_cpuinfo(text.str());
  ordered_json host{{"cpu", cpu.model},
                    {"sockets", cpu.sockets},
                    {"cores", cpu.cores},
                    {"threads", cpu.threads},
                    {"threads_usable", usable_threads()},
                    {"memory_bytes", int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE)}};
  if (const long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE); l3 > 0) host["l3_bytes"] = l3;
  utsname system{};
  if (uname(&system) == 0) {
    host["host"] = system.nodename;
    host["kernel"] = std::string(system.sysname) + " " + system.release;
  }
  return host;
}

}  // namespace moesim::bench
