// The models and devices that moesim knows by name: models/llms/*.json, gpus/*.json, cpus/*.json, nics/*.json,
// links/*.json. A name is the file's, without ".json"; case does not count. What has a slash in it or ends in ".json"
// is a file of the user's.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "models/devices.h"
#include "models/llm.h"

namespace moesim {

enum class CatalogueKind { llm, gpu, cpu, nic, link };

constexpr auto enum_names(CatalogueKind) {
  return std::to_array<std::pair<CatalogueKind, const char*>>({{CatalogueKind::llm, "llm"},
                                                               {CatalogueKind::gpu, "gpu"},
                                                               {CatalogueKind::cpu, "cpu"},
                                                               {CatalogueKind::nic, "nic"},
                                                               {CatalogueKind::link, "link"}});
}

// Where moesim's data lies (models/, and what other layers ship): $MOESIM_DATA_DIR, else share/moesim beside the folder
// of the executable, else the source tree it was built from. The first that holds a catalogue; if none does, a
// ConfigError.
std::filesystem::path data_folder();

// All names of a kind, sorted.
std::vector<std::string> catalogue_names(CatalogueKind kind);

// An entry by name or by path. A model's path may lead to a Hugging Face config.json (huggingface.h), or to a folder
// with one. An unknown name is a ConfigError that says what may have been meant.
LlmSpec load_llm(const std::string& name_or_path);
GpuSpec load_gpu(const std::string& name_or_path);
CpuSpec load_cpu(const std::string& name_or_path);
NicSpec load_nic(const std::string& name_or_path);
LinkSpec load_link(const std::string& name_or_path);

}  // namespace moesim
