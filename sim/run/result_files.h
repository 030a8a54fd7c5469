// What a run leaves in its folder: results.json, scenario.json (every default filled in), tables as CSV, timeline.json
// and pictures.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "sim/run/results.h"
#include "sim/run/run_record.h"
#include "sim/run/scenario.h"

namespace moesim {

std::string steps_csv(const Results& results);
std::string layers_csv(const Results& results);
std::string gpus_csv(const Results& results);
std::string links_csv(const Results& results);

// A ConfigError says why it could not be made.
void make_folder(const std::filesystem::path& folder);

// Each file is written under a temporary name and renamed; the folder is made if need be. A ConfigError says what
// could not be written.
void write_result_files(const std::filesystem::path& folder, const Scenario& scenario, const Results& results,
                        const RunRecord& record);

// Pictures of what differs between runs, where they have the same fabric and all have finished a step.
void write_compare_pictures(const std::filesystem::path& folder, std::span<const RunRecord> records,
                            std::span<const std::string> labels);

}  // namespace moesim
