#include "validation/measurements.h"

#include <fmt/core.h>

#include <array>

#include "sim/config/atomic_file.h"
#include "sim/config/reader.h"
#include "validation/record_reader.h"

namespace moesim {
namespace {

constexpr int64_t kFileBytesMax = int64_t{256} << 20;

bool is_foreign(const JsonNode& root) {
  return root.kind != JsonKind::object || root.find("records") == nullptr || root.find("device") == nullptr;
}

// What an imported file says of what was measured; "" of one of our own.
std::string origin_of(const JsonNode& root) {
  const JsonNode* const machine = root.find("machine");
  if (machine == nullptr || machine->find("imported_from") == nullptr) return "";
  const JsonNode* const note = machine->find("note");
  return note == nullptr || note->text.empty() ? machine->find("imported_from")->text : note->text;
}

// Versions of what ran, as far as the file names them.
std::string software_of(const JsonNode& root, const std::string& format) {
  const JsonNode* const torch = root.find("torch");
  if (format == "pytorch") return torch == nullptr ? "PyTorch" : "PyTorch " + torch->text;
  if (const std::string imported = origin_of(root); !imported.empty()) return imported.substr(0, imported.find(';'));
  std::string software = "moesim-bench";
  const JsonNode* const machine = root.find("machine");
  if (machine == nullptr) return software;
  for (const auto& [key, name] :
       {std::array{"cuda_runtime", "CUDA"}, std::array{"cublas", "cuBLAS"}, std::array{"nccl", "NCCL"}})
    if (const JsonNode* const version = machine->find(key); version != nullptr && !version->text.empty())
      software += fmt::format(", {} {}", name, version->text);
  return software;
}

}  // namespace

std::string catalogue_gpu(const std::string& device) {
  constexpr std::array<std::array<const char*, 2>, 24> kKnown{{{"NVIDIA H100 80GB HBM3", "h100-sxm-80"},
                                                               {"NVIDIA H100 PCIe", "h100-pcie-80"},
                                                               {"NVIDIA H200", "h200-sxm-141"},
                                                               {"NVIDIA H800", "h800-sxm-80"},
                                                               {"NVIDIA A100-SXM4-40GB", "a100-sxm-40"},
                                                               {"NVIDIA A100-SXM4-80GB", "a100-sxm-80"},
                                                               {"NVIDIA A100-PCIE-40GB", "a100-pcie-40"},
                                                               {"NVIDIA A100-PCIE-80GB", "a100-pcie-80"},
                                                               {"NVIDIA A100 80GB PCIe", "a100-pcie-80"},
                                                               {"NVIDIA B200", "b200-180"},
                                                               {"NVIDIA B300", "b300-288"},
                                                               {"NVIDIA B300 SXM6 AC", "b300-288"},
                                                               {"NVIDIA GB200", "gb200-nvl72"},
                                                               {"NVIDIA A10G", "a10g-24"},
                                                               {"NVIDIA A30", "a30-24"},
                                                               {"NVIDIA A40", "a40-48"},
                                                               {"NVIDIA L4", "l4-24"},
                                                               {"NVIDIA L40", "l40-48"},
                                                               {"NVIDIA L40S", "l40s-48"},
                                                               {"Tesla T4", "t4-16"},
                                                               {"NVIDIA RTX A6000", "rtx-a6000-48"},
                                                               {"NVIDIA GeForce RTX 3090", "rtx-3090-24"},
                                                               {"NVIDIA GeForce RTX 4090", "rtx-4090-24"},
                                                               {"NVIDIA GeForce RTX 4090 D", "rtx-4090d-24"}}};
  for (const auto& [name, gpu] : kKnown)
    if (device == name) return gpu;
  return "";
}

MeasurementFile parse_measurements(const std::string& text, const std::string& source) {
  const JsonNode root = parse_json(text, source);
  MeasurementFile file;
  file.source = std::filesystem::path(source).filename().string();
  const JsonNode* const format = root.find("format");
  file.format = format == nullptr ? "pytorch" : format->text;
  if (is_foreign(root) || (file.format != "pytorch" && file.format != "moesim-bench"))
    throw ConfigError(source, "not a file of measurements: neither of moesim-bench nor of scripts/measure_pytorch");
  const bool of_bench = file.format == "moesim-bench";
  if (of_bench) require_format_version(root, 1, source);

  std::vector<Fault> faults;
  const Place top;
  RecordReader head(root, top, faults);
  file.device = head.text("device");
  file.gpu = catalogue_gpu(file.device);
  file.world = int32_t(head.integer_or("world", 1, 1, 4096));
  file.software = software_of(root, file.format);
  file.is_imported = !origin_of(root).empty();
  const JsonNode& records = *root.find("records");
  const Place place{&top, "records"};
  if (records.kind != JsonKind::array) add_type_fault(records, place, JsonKind::array, faults);
  for (size_t number = 0; records.kind == JsonKind::array && number < records.children.size(); ++number) {
    const JsonNode& node = records.children[number];
    const Place at{&place, {}, int64_t(number)};
    if (node.kind != JsonKind::object) {
      add_type_fault(node, at, JsonKind::object, faults);
      continue;
    }
    RecordReader record(node, at, faults);
    if (of_bench)
      read_bench_record(record, number, file.records);
    else
      read_pytorch_record(record, file.world, number, file.records);
  }
  throw_if_any(source, std::move(faults));
  return file;
}

MeasurementFile read_measurements(const std::filesystem::path& file) {
  return parse_measurements(read_text_file(file, kFileBytesMax), file.string());
}

}  // namespace moesim
