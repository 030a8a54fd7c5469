#include "sim/moe/offload/expert_importance.h"

#include <fmt/format.h>

#include <filesystem>

#include "sim/config/reader.h"

namespace moesim {
namespace {

using AddFault = std::function<void(std::string key, std::string message)>;

template <class Row>
void check_table(const ExpertImportance& s, const char* key, const std::vector<std::vector<Row>>& table,
                 const AddFault& fault) {
  if (table.empty()) return;
  if (table.size() != size_t(s.layers)) fault(key, fmt::format("has {} layers, not {}", table.size(), s.layers));
  for (size_t layer = 0; layer < table.size(); ++layer)
    if (table[layer].size() != size_t(s.experts))
      fault(key, fmt::format("layer {} has {} experts, not {}", layer, table[layer].size(), s.experts));
}

void check_errors(const ExpertImportance& s, const AddFault& fault) {
  for (size_t i = 1; i < s.bits.size(); ++i)
    if (s.bits[i] <= s.bits[i - 1]) fault("bits", fmt::format("{} comes after {}", s.bits[i], s.bits[i - 1]));
  if (s.bits.empty() != s.error.empty()) fault("error", "needs `bits`, and these need it");
  for (size_t layer = 0; layer < s.error.size(); ++layer)
    for (size_t expert = 0; expert < s.error[layer].size(); ++expert)
      if (s.error[layer][expert].size() != s.bits.size())
        fault("error", fmt::format("layer {} expert {} has {} numbers, one a width are {}", layer, expert,
                                   s.error[layer][expert].size(), s.bits.size()));
}

}  // namespace

void check_fields(const ExpertImportance& s, const AddFault& fault) {
  check_table(s, "choices", s.choices, fault);
  check_table(s, "gate_weight", s.gate_weight, fault);
  check_table(s, "loss", s.loss, fault);
  check_table(s, "error", s.error, fault);
  check_errors(s, fault);
}

ExpertImportance read_importance_file(const std::string& path) {
  const JsonNode root = read_json_file(path);
  require_format_version(root, 1, path);
  return read_struct<ExpertImportance>(root, path);
}

std::string importance_path(const BitInput& in, const std::string& path) {
  return (std::filesystem::path(in.folder) / path).string();
}

std::optional<ExpertImportance> importance_of(const BitInput& in, const std::string& path) {
  if (path.empty()) return std::nullopt;
  const std::string file = importance_path(in, path);
  ExpertImportance importance = read_importance_file(file);
  std::vector<Fault> faults;
  if (importance.layers != in.layers)
    faults.push_back({0, "/layers", fmt::format("the model has {} MoE layers, not {}", in.layers, importance.layers)});
  if (importance.experts != in.experts)
    faults.push_back({0, "/experts", fmt::format("the model has {} experts, not {}", in.experts, importance.experts)});
  throw_if_any(file, std::move(faults));
  return importance;
}

}  // namespace moesim
