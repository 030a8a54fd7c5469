// The actions of `moesim trace`, each in a file of its own.
#pragma once

#include <string>
#include <vector>

#include "sim/cli/command.h"
#include "traces/trace_input.h"

namespace moesim {

struct TraceAction {
  const char* name;
  const char* arguments;
  std::vector<std::string> options;  // those that it takes
  size_t files_min;
  size_t files_max;
  void (*run)(const po::variables_map& given, const std::vector<std::string>& files);
};

void run_trace_info(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_stats(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_convert(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_slice(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_merge(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_transform(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_synth(const po::variables_map& given, const std::vector<std::string>& files);
void run_trace_arrivals(const po::variables_map& given, const std::vector<std::string>& files);

// Options of synth and of arrivals.
void add_synth_options(po::options_description& options);
void add_arrival_options(po::options_description& options);

// Thrown where Ctrl-C stopped a walk through a trace.
struct Stopped {};

// Shows the walk on stderr where that is a terminal, and lets Ctrl-C stop it.
void show_progress(TraceInput& input, const std::string& what);

}  // namespace moesim
