#include "sim/run/result_files.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <iterator>

#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "sim/run/fabric_picture.h"
#include "sim/run/link_use.h"
#include "sim/run/offload_text.h"
#include "sim/run/pair_picture.h"
#include "sim/run/timeline_file.h"

namespace moesim {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw ConfigError(folder.string(), "cannot make this folder: " + error.message());
}

std::string layers_csv(const Results& results) {
  std::string csv =
      "layer,time_s,gpu_load_max_over_mean,expert_load_max_over_mean,copies_per_token,remote_fraction,cross_node_"
      "fraction\n";
  for (const LayerResult& layer : results.layers)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{}\n", layer.layer, layer.time_s,
                   layer.gpu_load_max_over_mean, layer.expert_load_max_over_mean, layer.copies_per_token,
                   layer.remote_fraction, layer.cross_node_fraction);
  return csv;
}

std::string steps_csv(const Results& results) {
  std::string csv = "step,time_s,gpu_load_max_over_mean,placement_age\n";
  for (const StepResult& step : results.steps)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{}\n", step.step, step.time_s, step.gpu_load_max_over_mean,
                   step.placement_age);
  return csv;
}

std::string gpus_csv(const Results& results) {
  std::string csv =
      "gpu,name,compute_s,exposed_communication_s,idle_s,expert_rows,weights_attention_bytes,weights_experts_bytes,"
      "weights_other_bytes,kv_cache_bytes,activations_bytes,memory_bytes,capacity_bytes\n";
  for (const GpuResult& gpu : results.gpu_list) {
    const MemoryResult& memory = gpu.memory;
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{},{},{},{},{},{},{}\n", gpu.gpu, csv_text(gpu.name),
                   gpu.compute_s, gpu.exposed_communication_s, gpu.idle_s, gpu.expert_rows, memory.weights_attention,
                   memory.weights_experts, memory.weights_other, memory.kv_cache, memory.activations, memory.total,
                   memory.capacity);
  }
  return csv;
}

std::string links_csv(const Results& results) {
  std::string csv =
      "link,kind,bytes,busy_s,utilisation,flows_mean,queue_bytes_max,queue_wait_mean_s,queue_drops,queue_marks\n";
  for (const LinkResult& link : results.links) {
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},", csv_text(link.link), link.kind, link.bytes,
                   link.busy_s, link.utilisation, link.flows_mean);
    if (link.queue)
      fmt::format_to(std::back_inserter(csv), "{},{},{},{}\n", link.queue->bytes_max, link.queue->wait_mean_s,
                     link.queue->drops, link.queue->marks);
    else
      csv += ",,,\n";
  }
  return csv;
}

void write_result_files(const std::filesystem::path& folder, const Scenario& scenario, const Results& results,
                        const RunRecord& record) {
  make_folder(folder);
  const Topology& topology = record.topology;
  const auto name = [&](LinkId link) { return link_name(topology, link); };
  const std::vector<LinkId> busiest = busiest_links(topology.links, record.use);
  write_file_atomically(folder / "scenario.json", json_text(scenario));
  write_file_atomically(folder / "layers.csv", layers_csv(results));
  write_file_atomically(folder / "steps.csv", steps_csv(results));
  write_file_atomically(folder / "gpus.csv", gpus_csv(results));
  write_file_atomically(folder / "links.csv", links_csv(results));
  write_file_atomically(folder / "link_use.csv",
                        link_use_csv(*record.over_time, topology.links, busiest, name, record.end, !results.complete));
  write_file_atomically(folder / "gpu_pairs.csv", gpu_pairs_csv(record));
  write_file_atomically(folder / "gpu_pairs.svg", gpu_pairs_svg(record, results.scenario));
  write_file_atomically(folder / "fabric.svg", fabric_svg(record, results.scenario));
  if (results.offload) {
    write_file_atomically(folder / "offload_layers.csv", offload_layers_csv(*results.offload));
    write_file_atomically(folder / "offload_over_time.csv", offload_over_time_csv(*results.offload));
  }
  write_file_atomically(folder / "timeline.json", timeline_json(record, results));
  write_file_atomically(folder / "results.json", json_text(results));  // last: its presence says all is there
}

void write_compare_pictures(const std::filesystem::path& folder, std::span<const RunRecord> records,
                            std::span<const std::string> labels) {
  if (records.size() < 2) return;
  for (const RunRecord& record : records)
    if (record.end == Time{} || !same_fabric(record, records[0])) return;
  write_file_atomically(folder / "fabric-compare.svg", fabric_compare_svg(records, labels));
  write_file_atomically(folder / "gpu-pairs-compare.svg", gpu_pairs_compare_svg(records, labels));
}

}  // namespace moesim
