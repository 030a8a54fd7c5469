#include "sim/cli/place_files.h"

#include <fmt/core.h>

#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "sim/config/suggest.h"
#include "sim/run/fabric_picture.h"
#include "sim/run/names.h"
#include "sim/run/pair_picture.h"
#include "sim/run/result_files.h"

namespace moesim {
namespace {

std::optional<ExchangeFormat> format_of(const std::string& name) {
  for (const auto& [format, known] : enum_names(ExchangeFormat{}))
    if (name == known) return format;
  return {};
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const auto& [format, name] : enum_names(ExchangeFormat{})) names.emplace_back(name);
  return names;
}

// FORMAT FILE FORMAT FILE ...; a text beyond them is left over. What stands before a file is meant as its format.
std::vector<EngineFile> engine_files(const std::vector<std::string>& texts, const std::string& option,
                                     std::vector<std::string>& left_over, std::vector<Fault>& faults) {
  std::vector<EngineFile> files;
  for (size_t i = 0; i < texts.size();) {
    const std::optional<ExchangeFormat> format = format_of(texts[i]);
    const bool has_file = i + 1 < texts.size() && !format_of(texts[i + 1]);
    if (!format) {
      if (files.empty() || has_file)
        faults.push_back({0, "",
                          fmt::format("{}: unknown format {}{}", option, in_quotes(texts[i]),
                                      suggestion(texts[i], format_names()))});
      else
        left_over.push_back(texts[i]);
      i += has_file ? 2 : 1;
      continue;
    }
    files.push_back({*format, has_file ? texts[i + 1] : ""});
    i += has_file ? 2 : 1;
  }
  return files;
}

std::filesystem::path folder_of(const PlaceFiles& files) {
  if (files.output.empty()) return {};
  return writes_folder(files) ? std::filesystem::path(files.output) : std::filesystem::path(files.output).parent_path();
}

void write_folder(const std::filesystem::path& folder, const std::vector<PlacementTrial>& trials,
                  const PlacementReport& report) {
  std::vector<RunRecord> records;
  std::vector<std::string> labels;
  for (size_t t = trials.size() < 2 ? 0 : 1; t < trials.size(); ++t) {  // from the first of the others to the asked
    records.push_back(trials[t].record);
    labels.push_back(trials[t].policy);
  }
  if (trials.size() > 1) {
    records.insert(records.begin() + 1, trials[0].record);
    labels.insert(labels.begin() + 1, trials[0].policy);
  }
  write_compare_pictures(folder, records, labels);
  write_file_atomically(folder / "gpu_pairs.csv", gpu_pairs_csv(trials[0].record));
  write_file_atomically(folder / "gpu_pairs.svg", gpu_pairs_svg(trials[0].record, report.scenario));
  write_file_atomically(folder / "fabric.svg", fabric_svg(trials[0].record, report.scenario));
  write_file_atomically(folder / "layers.csv", placement_layers_csv(report));
  write_file_atomically(folder / "report.json", json_text(report));
}

}  // namespace

PlaceFiles place_files(const po::variables_map& given, const std::vector<std::string>& positional) {
  PlaceFiles files;
  std::vector<std::string> left_over = positional;
  std::vector<Fault> faults;
  files.exports = engine_files(values_of(given, "export"), "--export", left_over, faults);
  const std::vector<EngineFile> imports = engine_files(values_of(given, "import"), "--import", left_over, faults);
  if (imports.size() > 1) faults.push_back({0, "", "--import: one file at a time"});
  if (!imports.empty()) files.import = imports[0];
  if (files.import && files.import->path.empty()) faults.push_back({0, "", "--import: names no file"});
  if (left_over.size() > 1) faults.push_back({0, "", fmt::format("{} is one file too many", in_quotes(left_over[1]))});
  if (!left_over.empty()) files.scenario = left_over[0];
  if (given.count("output") > 0) files.output = given["output"].as<std::string>();
  throw_if_any("moesim place", std::move(faults));
  for (EngineFile& one : files.exports)
    if (one.path.empty())
      one.path =
          (folder_of(files) / fmt::format("placement.{}.{}", name_of(one.format), file_ending(one.format))).string();
  return files;
}

bool writes_folder(const PlaceFiles& files) {
  return files.output.ends_with('/') || (!files.output.empty() && std::filesystem::is_directory(files.output));
}

ImportedPlacement import_placement(const PlaceFiles& files, const LoadedScenario& loaded, PlacementSetting& setting) {
  ImportedPlacement imported;
  if (!files.import) return imported;
  const EngineFile& file = *files.import;
  imported.name = fmt::format("{} {}", name_of(file.format), file.path);
  if (holds_counts(file.format, file.path)) {
    take_counts(read_expert_counts(file.format, file.path, loaded.model.experts), loaded.model, setting);
    return imported;
  }
  const PlacementFile map = import_map(file.format, file.path, map_shape(loaded.model, setting.input));
  const std::vector<std::string> faults = misfits(map, setting.input);
  if (!faults.empty()) throw ConfigError(file.path, "the placement " + faults[0]);
  imported.map = placement_of(map);
  if (map.slots != slots_of_gpus(setting.input)) imported.map->physical_to_logical.clear();
  return imported;
}

void write_placement_files(const PlaceFiles& files, const PlacementSetting& setting,
                           const std::vector<PlacementTrial>& trials, const PlacementReport& report) {
  const PlacementFile file = placement_file(setting, trials[0]);
  if (writes_folder(files)) {
    make_folder(files.output);
    write_folder(files.output, trials, report);
  }
  if (!files.output.empty()) write_placement_text(files.output, placement_file_text(file));
  for (const EngineFile& one : files.exports) write_file_atomically(one.path, export_map(one.format, file));
}

void write_placement_text(const std::string& output, const std::string& text) {
  const bool to_folder = output.ends_with('/') || std::filesystem::is_directory(output);
  if (to_folder) make_folder(output);
  write_file_atomically(to_folder ? std::filesystem::path(output) / "placement.json" : std::filesystem::path(output),
                        text);
}

}  // namespace moesim
