// The config.json of a model on Hugging Face, as its authors publish it.
#pragma once

#include <string>
#include <vector>

#include "models/llm.h"
#include "sim/config/json.h"

namespace moesim {

// Whether this is such a file, rather than one of our own.
bool is_huggingface_config(const JsonNode& root);

// The values of model_type that are understood.
std::vector<std::string> huggingface_families();

// Reads the keys that matter and passes over the others. An unknown family, and all keys that are missing or wrong,
// are one ConfigError. `source` names the file in it, `name` becomes the model's.
LlmSpec read_huggingface_config(const JsonNode& root, const std::string& source, const std::string& name);

}  // namespace moesim
