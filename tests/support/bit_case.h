// Inputs of policies of expert bits, and what they decide with settings as a scenario would give them.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "sim/config/atomic_file.h"
#include "sim/config/reader.h"
#include "sim/moe/offload/bits.h"

namespace moesim {

struct BitCase {
  int32_t layers = 1;
  int32_t experts = 0;
  std::vector<int64_t> past_load;  // [item]
  std::string folder;

  BitInput input() const { return {layers, experts, past_load, folder}; }
};

inline BitCase random_bit_case(Rng& rng) {
  BitCase c{int32_t(rng.between(1, 5)), int32_t(rng.between(2, 40)), {}, {}};
  for (int32_t item = 0; item < c.layers * c.experts; ++item)
    c.past_load.push_back(rng.below(4) == 0 ? 0 : int64_t(100 * rng.log_normal(0, 1)));
  return c;
}

// {"policy": NAME, MORE}.
inline std::vector<double> bits_by_settings(const std::string& policy, const std::string& more, const BitInput& in) {
  PolicyChoice<BitPolicy> choice;
  std::vector<Fault> faults;
  choice.read(parse_json("{\"policy\": \"" + policy + "\"" + (more.empty() ? "" : ", " + more) + "}", "settings"),
              Place{}, faults);
  throw_if_any("settings", faults);
  Rng rng(1);
  std::vector<double> bits = choice.decide(in, rng);
  check_bits(in, bits);
  return bits;
}

// A file importance.json in a folder of its own, as long as it lives.
class ImportanceFile {
 public:
  explicit ImportanceFile(const std::string& text)
      : folder_(std::filesystem::temp_directory_path() / ("moesim_bits_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    write_file_atomically((folder_ / "importance.json").string(), text);
  }
  ~ImportanceFile() { std::filesystem::remove_all(folder_); }
  ImportanceFile(const ImportanceFile&) = delete;
  ImportanceFile& operator=(const ImportanceFile&) = delete;

  std::string folder() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace moesim
