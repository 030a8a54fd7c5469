// Placements and expert counts in the formats of serving engines. docs/placement.md says which versions they are of.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "models/llm.h"
#include "sim/moe/placement_file.h"
#include "sim/run/placement_report.h"
#include "traces/expert_counts.h"

namespace moesim {

enum class ExchangeFormat { sglang, vllm, trtllm, csv };

constexpr auto enum_names(ExchangeFormat) {
  return std::to_array<std::pair<ExchangeFormat, const char*>>({{ExchangeFormat::sglang, "sglang"},
                                                                {ExchangeFormat::vllm, "vllm"},
                                                                {ExchangeFormat::trtllm, "trtllm"},
                                                                {ExchangeFormat::csv, "csv"}});
}

const char* file_ending(ExchangeFormat format);  // of maps: "json", "yaml" or "csv"

// A placement of this model without its slots and its map, which a file is to fill.
PlacementFile map_shape(const LlmSpec& llm, const PlacementInput& in);

// The map with an expert in every slot, as engines want it: an empty slot gets one more copy of an expert that only
// this GPU has, so that no token goes elsewhere, or else of the first that it has. Throws a ConfigError where a GPU has
// none.
SlotMap filled_slots(const PlacementFile& file);

// The text of the file. Engines want as many slots on each GPU; else a ConfigError.
std::string export_map(ExchangeFormat format, const PlacementFile& file);

// Throws a ConfigError with what is wrong with the file, or where it does not fit the shape.
PlacementFile import_map(ExchangeFormat format, const std::string& path, const PlacementFile& shape);

// Whether a file of the engine holds recorded counts; else it should hold a map.
bool holds_counts(ExchangeFormat format, const std::string& path);
ExpertCounts read_expert_counts(ExchangeFormat format, const std::string& path, int64_t experts);

// Makes the counts what placements are made from, instead of the training part of the trace. Of pairs of experts
// nothing is then known. Throws a ConfigError where the counts are not of this model.
void take_counts(const ExpertCounts& counts, const LlmSpec& llm, PlacementSetting& setting);

}  // namespace moesim
