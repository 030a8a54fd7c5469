// What a measurement is of, in words and numbers: to tell sizes apart, to split them into folds, to say which were
// measured.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/device_profile.h"
#include "validation/measurements.h"

namespace moesim {

using NamedSizes = std::vector<std::pair<std::string, double>>;

// The sizes that its time depends on.
NamedSizes sizes_of(const Measurement& measurement);

// The model of a layer or step; "" of a single kernel. Layers without a name are told by their widths.
std::string model_of(const Measurement& measurement);

// The same text for the same work, whatever its launch, repetition or file: it never lies in two folds.
std::string size_key(const Measurement& measurement);

// Which of `folds` a key falls into.
size_t fold_of(const std::string& key, size_t folds);

// "m 1 to 16,384, n 64 to 28,672": of all measurements.
std::string sizes_text(const std::vector<const Measurement*>& measurements);

// The widest of the sizes, as largest over smallest.
double widest_range(const std::vector<const Measurement*>& measurements);

}  // namespace moesim
