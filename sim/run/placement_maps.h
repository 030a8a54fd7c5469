// Readers of the maps that serving engines load: each fills slots and physical_to_logical of a placement of known
// shape. They throw a ConfigError for what is not of the format; whether every expert has a slot is checked later.
#pragma once

#include <string>

#include "sim/moe/placement_file.h"

namespace moesim {

void read_sglang_map(const std::string& text, const std::string& source, PlacementFile& file);
void read_vllm_map(const std::string& text, const std::string& source, PlacementFile& file);
void read_trtllm_map(const std::string& text, const std::string& source, PlacementFile& file);
void read_csv_map(const std::string& text, const std::string& source, PlacementFile& file);

}  // namespace moesim
