// What `moesim place` reads and writes beside its scenario.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/cli/command.h"
#include "sim/run/placement_exchange.h"
#include "sim/run/placement_report.h"

namespace moesim {

struct EngineFile {
  ExchangeFormat format{};
  std::string path;
};

struct PlaceFiles {
  std::string scenario;
  std::string output;  // of -o; "" where nothing is written
  std::vector<EngineFile> exports;
  std::optional<EngineFile> import;
};

// A map that takes the place of a policy; counts have gone into the setting.
struct ImportedPlacement {
  std::optional<Placement> map;
  std::string name;
};

// Throws one ConfigError with all that is wrong with these options. A file name that follows an export, where the
// scenario is missing, is the scenario.
PlaceFiles place_files(const po::variables_map& given, const std::vector<std::string>& positional);

bool writes_folder(const PlaceFiles& files);

ImportedPlacement import_placement(const PlaceFiles& files, const LoadedScenario& loaded, PlacementSetting& setting);

void write_placement_files(const PlaceFiles& files, const PlacementSetting& setting,
                           const std::vector<PlacementTrial>& trials, const PlacementReport& report);

// To a file, or into a folder as placement.json.
void write_placement_text(const std::string& output, const std::string& text);

}  // namespace moesim
