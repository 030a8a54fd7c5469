// An .npz as a zip archive of arrays, each read block by block, so that memory grows with what is really there.
#pragma once

#include <zip.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "traces/npy.h"

namespace moesim {

using Zip = std::unique_ptr<zip_t, decltype(&zip_discard)>;

// The bytes must outlive the archive. Throws ConfigError; `source` is what it calls the file.
Zip open_zip(std::span<const std::byte> bytes, const std::string& source);

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Entry = std::unique_ptr<zip_file_t, CloseEntry>;

struct OpenArray {
  Entry entry;
  NpyHeader header;
  std::vector<std::byte> begun;  // of the data, what came with the header
};

// Names of the arrays, without ".npy", in the archive's order.
std::vector<std::string> array_names(zip_t* zip);

// None where the archive has no such array. Throws std::invalid_argument with what is wrong with it.
std::optional<OpenArray> open_array(zip_t* zip, const std::string& name);

// Appends up to that many bytes more; fewer only at the end of the entry.
void inflate(zip_file_t* entry, size_t more, std::vector<std::byte>& bytes);

inline constexpr size_t kNpzBlockBytes = size_t{1} << 20;  // inflated and converted at once

// Hands the data on in blocks of whole values. Refuses data that are not as long as the shape says.
template <class Use>
void read_blocks(OpenArray array, Use use) {
  const size_t size = bytes_of(array.header.type);
  const uint64_t expected = uint64_t(values_of(array.header)) * size;
  uint64_t used = 0;
  std::vector<std::byte> block = std::move(array.begun);
  for (;;) {
    const size_t whole = block.size() / size * size;
    used += whole;
    if (used + (block.size() - whole) > expected)
      throw std::invalid_argument("the array holds more than its shape says");
    if (whole > 0) use(std::span<const std::byte>(block).first(whole));
    block.erase(block.begin(), block.begin() + ptrdiff_t(whole));
    const size_t left = block.size();
    const uint64_t missing = expected - used - left + 1;  // one more than there should be, to find out if there is
    inflate(array.entry.get(), size_t(std::min<uint64_t>(kNpzBlockBytes, missing)), block);
    if (block.size() == left) break;
  }
  if (used < expected)
    throw std::invalid_argument("the array ends after " + std::to_string(used) + " of " + std::to_string(expected) +
                                " bytes");
}

}  // namespace moesim
