// Attributes and datasets of an HDF5 file that may be hostile. For a child process, where a crash of HDF5 costs
// nothing. What is wrong is thrown as a ConfigError without a file's name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "traces/hdf5_handle.h"

namespace moesim {

[[noreturn]] void refuse(const std::string& place, const std::string& message);

std::string hdf5_reason();

// Attributes of the root; empty where there is none of that name.
std::vector<int64_t> integers_of(hid_t file, const char* name);
std::optional<int64_t> integer_of(hid_t file, const char* name);
std::vector<std::string> texts_of(hid_t file, const char* name);
std::string text_of(hid_t file, const char* name);

void check_version(hid_t file);

struct Dataset {
  std::string place;
  Hdf5Handle dataset;
  Hdf5Handle type;
  std::vector<hsize_t> shape;
};

std::optional<Dataset> open_dataset(hid_t file, const char* name, H5T_class_t kind, int dimensions);

// Rows in a chunk; 1 where the data lie in one piece.
hsize_t chunk_rows(const Dataset& dataset);

void select_rows(hid_t space, const Dataset& from, hsize_t first, hsize_t rows);
void read_selected(const Dataset& from, hid_t memory_type, hid_t space, hsize_t first, hsize_t rows, void* values);

inline constexpr hsize_t kSlabValues = hsize_t{1} << 20;  // read at once; 8 MiB of int64

// Reads whole rows of the first dimension, as many at a time as a slab holds, and hands each slab on.
template <class T, class Use>
void read_rows(const Dataset& from, hid_t memory_type, hsize_t first, hsize_t rows, Use use) {
  hsize_t row = 1;
  for (size_t d = 1; d < from.shape.size(); ++d) row *= from.shape[d];
  const hsize_t rows_max = std::max<hsize_t>(1, kSlabValues / row);
  const Hdf5Handle space(H5Dget_space(from.dataset.id()), H5Sclose);
  std::vector<T> slab;
  for (hsize_t done = 0; done < rows; done += rows_max) {
    const hsize_t now = std::min(rows_max, rows - done);
    slab.resize(now * row);
    select_rows(space.id(), from, first + done, now);
    read_selected(from, memory_type, space.id(), first + done, now, slab.data());
    use(std::span<const T>(slab));
  }
}

}  // namespace moesim
