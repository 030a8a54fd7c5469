#include "models/device_profile.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "models/catalogue.h"
#include "sim/config/error.h"
#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

std::filesystem::path calibration_folder() { return data_folder() / "models" / "calibration"; }

// A name has one slash and no extension, so a path is told by its ".json".
std::filesystem::path path_of(const std::string& name_or_path) {
  if (name_or_path.ends_with(".json")) return name_or_path;
  const std::vector<std::string> names = profile_names();
  if (std::binary_search(names.begin(), names.end(), name_or_path))
    return calibration_folder() / (name_or_path + ".json");
  throw ConfigError("profile " + in_quotes(name_or_path),
                    "unknown profile" + suggestion(name_or_path, names) +
                        "; `moesim list profiles` lists those that there are, and a file's name ends in .json");
}

// A pass that reaches less than this of the bandwidth is bound by its SMs: by atomics, or by instructions a byte.
constexpr double kBoundByMemory = 0.5;

// On a GPU of other bandwidth it reaches another fraction of it, for the SMs give the same bytes a second.
void keep_rate_of_sms(PassParameters& pass, const GpuSpec& measured, const GpuSpec& other) {
  if (pass.memory >= kBoundByMemory) return;
  const double sms = other.bf16.flop_per_s / measured.bf16.flop_per_s;
  pass.memory =
      std::min(1.0, pass.memory * sms * measured.memory_bandwidth.bytes_per_s / other.memory_bandwidth.bytes_per_s);
}

// NCCL gives a collective as many thread blocks as it has links to fill, so that they copy at a rate that goes with the
// links' and not with the memory's: an H200 copies as an H100 does.
void scale_collectives(DeviceProfile& profile, double links) {
  const auto scale = [links](Rate& rate) { rate.bytes_per_s *= links; };
  if (profile.scale_up) scale(*profile.scale_up);
  if (profile.collectives.copy_rate) scale(*profile.collectives.copy_rate);
  if (profile.collectives.small_messages) scale(profile.collectives.small_messages->copy_rate);
}

}  // namespace

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  std::error_code none;  // no folder: no profiles
  for (const auto& entry : std::filesystem::recursive_directory_iterator(calibration_folder(), none))
    if (entry.path().extension() == ".json")
      names.push_back((entry.path().parent_path().filename() / entry.path().stem()).string());
  std::sort(names.begin(), names.end());
  return names;
}

DeviceProfile load_profile(const std::string& name_or_path) {
  const std::filesystem::path path = path_of(name_or_path);
  const JsonNode root = read_json_file(path);
  require_format_version(root, 1, path.string());
  return read_struct<DeviceProfile>(root, path.string());
}

DeviceProfile scaled_profile(const DeviceProfile& profile, const std::string& gpu) {
  if (profile.gpu == gpu) return profile;
  DeviceProfile scaled = profile;
  scaled.scaled_from = profile.name;
  scaled.gpu = gpu;
  scaled.name = gpu + "/" + profile.name.substr(profile.name.find('/') + 1);
  const GpuSpec measured = load_gpu(profile.gpu);
  const GpuSpec other = load_gpu(gpu);
  if (measured.scale_up && other.scale_up)
    scale_collectives(scaled, other.scale_up->bytes_per_s / measured.scale_up->bytes_per_s);
  KernelParameters& k = scaled.kernels;
  for (PassParameters* pass : {&k.gate, &k.norm, &k.permute, &k.regroup, &k.unregroup, &k.unpermute, &k.scatter,
                               &k.scatter_add, &k.swiglu, &k.elementwise})
    keep_rate_of_sms(*pass, measured, other);
  for (ProfilePart& part : scaled.parts) {
    part.held_out.reset();
    part.note = "scaled by data sheets from " + measured.name;
  }
  return scaled;
}

}  // namespace moesim
