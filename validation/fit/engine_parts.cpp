#include "validation/fit/engine_parts.h"

#include "validation/fit/part_builders.h"

namespace moesim {
namespace {

FitPart gemm_fp8_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/gemm_fp8";
  part.form = "as kernels/gemm, with the quantisation of activations";
  part.parameters = all_below(profile, part.name);
  part.choices = {whole_numbers("kernels/gemm_fp8/split_k", {128, 256, 512, 1024, 2048, 4096})};
  part.noise = [](const Measurement& m, const std::string&) {
    const auto* gemm = as<GemmRecord>(m);
    return gemm && gemm->precision == Precision::fp8 ? kernel_noise(m) : 0.0;
  };
  return part;
}

FitPart grouped_gemm_fp8_part(const DeviceProfile& profile) {
  FitPart part;
  part.name = "kernels/grouped_gemm_fp8";
  part.form = "as kernels/grouped_gemm, with the quantisation of activations; fitted to whole layers of one time";
  part.parameters = all_below(profile, part.name);
  part.noise = [](const Measurement& m, const std::string&) {
    const auto* layer = as<FusedLayerRecord>(m);
    return layer && layer->precision == Precision::fp8 ? kernel_noise(m) : 0.0;
  };
  return part;
}

// Triton's kernels have blocks of 16 rows where experts have few, up to 128, and no clusters.
GroupedGemmParameters triton_tiles(const GroupedGemmParameters& from) {
  GroupedGemmParameters kernels = from;
  kernels.choice = TileChoice::fastest;
  kernels.few_rows = 0;
  kernels.rows_per_cluster = 1;
  kernels.tiles = {{16, 128, 0.25, 0}, {64, 128, 0.4, 0}, {128, 128, 0.4, 0}};
  return kernels;
}

// One kernel each, and the order of copies is a list of rows that the products read: nothing is moved for it.
void fuse_passes(KernelParameters& kernels) {
  kernels.gate.kernels = 2;
  kernels.permute.kernels = kernels.regroup.kernels = kernels.unregroup.kernels = 0;
  kernels.swiglu.kernels = kernels.unpermute.kernels = 1;
}

void prepare_engine_record(KernelParameters& kernels, const Measurement& m) {
  const auto* gemm = as<GemmRecord>(m);
  if (gemm && gemm->precision == Precision::fp8 && !kernels.gemm_fp8) kernels.gemm_fp8 = GemmParameters{};
  const auto* attention = as<AttentionRecord>(m);
  if (attention && attention->q > 1 && !kernels.attention.memory_prefill) kernels.attention.memory_prefill = 0.2;
  if (attention && attention->q == 1 && !kernels.attention.decode_head) {
    kernels.attention.decode_kv_head = 3_us;
    kernels.attention.decode_head = 30_ns;
  }
  if (!as<FusedLayerRecord>(m)) return;
  fuse_passes(kernels);
  if (kernels.grouped_gemm_fp8) return;
  kernels.grouped_gemm = triton_tiles(kernels.grouped_gemm);
  kernels.grouped_gemm_fp8 = kernels.grouped_gemm;
}

}  // namespace

std::vector<FitPart> engine_parts(const DeviceProfile& profile) {
  std::vector<FitPart> parts;
  if (profile.kernels.gemm_fp8) parts.push_back(gemm_fp8_part(profile));
  if (profile.kernels.grouped_gemm_fp8) parts.push_back(grouped_gemm_fp8_part(profile));
  return parts;
}

void prepare_engine(DeviceProfile& profile, const std::vector<MeasurementFile>& files) {
  for (const MeasurementFile& file : files)
    if (file.is_imported)
      for (const Measurement& m : file.records) prepare_engine_record(profile.kernels, m);
}

}  // namespace moesim
