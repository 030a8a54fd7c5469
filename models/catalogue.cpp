#include "models/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "models/huggingface.h"
#include "sim/config/error.h"
#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

struct Shelf {
  const char* folder;
  const char* noun;
};

Shelf shelf_of(CatalogueKind kind) {
  switch (kind) {
    case CatalogueKind::llm:
      return {"llms", "model"};
    case CatalogueKind::gpu:
      return {"gpus", "GPU"};
    case CatalogueKind::cpu:
      return {"cpus", "CPU"};
    case CatalogueKind::nic:
      return {"nics", "NIC"};
    case CatalogueKind::link:
      return {"links", "link"};
  }
  return {};
}

std::filesystem::path folder_of(CatalogueKind kind) { return data_folder() / "models" / shelf_of(kind).folder; }

bool is_path(const std::string& text) { return text.find('/') != std::string::npos || text.ends_with(".json"); }

// The names that the text is a part of: "h100" is many edits away from "h100-sxm-80", but that is what is meant.
std::vector<std::string> names_with(const std::string& part, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  if (!part.empty())
    std::copy_if(names.begin(), names.end(), std::back_inserter(found),
                 [&](const std::string& name) { return name.find(part) != std::string::npos; });
  return found;
}

std::filesystem::path path_of(CatalogueKind kind, const std::string& name_or_path) {
  if (is_path(name_or_path)) return name_or_path;
  std::string name = name_or_path;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  const std::vector<std::string> names = catalogue_names(kind);
  if (std::binary_search(names.begin(), names.end(), name)) return folder_of(kind) / (name + ".json");
  const std::vector<std::string> longer = names_with(name, names);
  const std::string hint = longer.empty() || longer.size() > 8
                               ? suggestion(name_or_path, names)
                               : fmt::format("; did you mean \"{}\"?", fmt::join(longer, "\" or \""));
  const char* noun = shelf_of(kind).noun;
  throw ConfigError(fmt::format("{} {}", noun, in_quotes(name_or_path)), fmt::format("unknown {}{}", noun, hint));
}

template <class Spec>
Spec load(CatalogueKind kind, const std::string& name_or_path) {
  const std::filesystem::path path = path_of(kind, name_or_path);
  const JsonNode root = read_json_file(path);
  require_format_version(root, 1, path.string());
  return read_struct<Spec>(root, path.string());
}

}  // namespace

std::vector<std::string> catalogue_names(CatalogueKind kind) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::path folder = folder_of(kind);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  if (error) throw ConfigError(folder.string(), "cannot be read: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

LlmSpec load_llm(const std::string& name_or_path) {
  std::filesystem::path path = path_of(CatalogueKind::llm, name_or_path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) path /= "config.json";
  const JsonNode root = read_json_file(path);
  if (!is_huggingface_config(root)) {
    require_format_version(root, 1, path.string());
    return read_struct<LlmSpec>(root, path.string());
  }
  // Downloads lie in a folder of the model's name, under a file name that all models share.
  const bool is_generic = path.filename() == "config.json" && path.has_parent_path();
  const std::filesystem::path name =
      is_generic ? std::filesystem::absolute(path).parent_path().filename() : path.stem();
  return read_huggingface_config(root, path.string(), name.string());
}

GpuSpec load_gpu(const std::string& name_or_path) { return load<GpuSpec>(CatalogueKind::gpu, name_or_path); }
CpuSpec load_cpu(const std::string& name_or_path) { return load<CpuSpec>(CatalogueKind::cpu, name_or_path); }
NicSpec load_nic(const std::string& name_or_path) { return load<NicSpec>(CatalogueKind::nic, name_or_path); }
LinkSpec load_link(const std::string& name_or_path) { return load<LinkSpec>(CatalogueKind::link, name_or_path); }

}  // namespace moesim
