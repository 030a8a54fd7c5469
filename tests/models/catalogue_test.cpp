#include "models/catalogue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "sim/config/error.h"
#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/config/writer.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

// A folder that goes with the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("moesim_catalogue_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
    return (path / name).string();
  }
};

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

template <class Spec>
void expect_written_as_read(const Spec& spec) {
  const OrderedJson written = to_json(spec);
  const Spec read = read_struct<Spec>(parse_json(json_text(written), "written"), "written");
  EXPECT_EQ(to_json(read), written);
}

TEST(Catalogue, HoldsEveryKind) {
  EXPECT_EQ(catalogue_names(CatalogueKind::llm).size(), 40u);
  EXPECT_EQ(catalogue_names(CatalogueKind::gpu).size(), 33u);
  EXPECT_EQ(catalogue_names(CatalogueKind::cpu).size(), 8u);
  EXPECT_EQ(catalogue_names(CatalogueKind::nic).size(), 5u);
  EXPECT_EQ(catalogue_names(CatalogueKind::link).size(), 9u);
}

TEST(Catalogue, EveryEntryLoadsWithItsSourceAndIsWrittenAsItWasRead) {
  const auto check = [](const std::string& name, const auto& spec) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(spec.name.empty());
    EXPECT_FALSE(spec.source.empty());
    expect_written_as_read(spec);
  };
  for (const auto& name : catalogue_names(CatalogueKind::llm)) check(name, load_llm(name));
  for (const auto& name : catalogue_names(CatalogueKind::gpu)) check(name, load_gpu(name));
  for (const auto& name : catalogue_names(CatalogueKind::cpu)) check(name, load_cpu(name));
  for (const auto& name : catalogue_names(CatalogueKind::nic)) check(name, load_nic(name));
  for (const auto& name : catalogue_names(CatalogueKind::link)) check(name, load_link(name));
}

// The numbers of NVIDIA's H100 SXM data sheet.
TEST(Catalogue, UnitsAreReadAsTheyAreMeant) {
  const GpuSpec gpu = load_gpu("h100-sxm-80");
  EXPECT_EQ(gpu.sms, 132);
  EXPECT_EQ(gpu.bf16, FlopRate{989e12});
  EXPECT_EQ(gpu.memory, Bytes{80ll << 30});
  EXPECT_EQ(gpu.memory_bandwidth, Rate{3350e9});
  EXPECT_EQ(load_nic("connectx-7").rate, Rate{50e9});
  EXPECT_EQ(load_link("pcie-gen5-x16").rate, Rate{64e9});
}

TEST(Catalogue, CaseOfANameDoesNotCount) { EXPECT_EQ(load_llm("OLMoE-1B-7B").name, "OLMoE-1B-7B"); }

TEST(Catalogue, AnUnknownNameIsAnsweredWithWhatMayBeMeant) {
  EXPECT_EQ(message_of([] { load_gpu("h100-sxm-8"); }),
            "GPU \"h100-sxm-8\": unknown GPU; did you mean \"h100-sxm-80\"?");
  EXPECT_NE(message_of([] { load_gpu("h100"); }).find("did you mean \"h100-pcie-80\" or \"h100-sxm-80\"?"),
            std::string::npos);
  EXPECT_NE(message_of([] { load_llm("mixtrl-8x7b"); }).find("did you mean \"mixtral-8x7b\"?"), std::string::npos);
  EXPECT_NE(message_of([] { load_llm(""); }).find("unknown model"), std::string::npos);
}

TEST(Catalogue, AFileOfTheUsersIsReadByItsPath) {
  const Folder folder;
  const std::string path = folder.write("mine.json", R"({"format_version": 1, "name": "mine", "rate": "10 Gb/s",
      "latency": "2 us", "source": "me"})");
  EXPECT_EQ(load_nic(path).latency, Duration{2'000'000});
  EXPECT_NE(message_of([&] { load_nic((folder.path / "missing.json").string()); }).find("missing.json"),
            std::string::npos);
}

TEST(Catalogue, FaultsOfAFileAreToldTogether) {
  const Folder folder;
  const std::string path = folder.write("bad.json", R"({"format_version": 1, "name": "bad",
      "rate": "0 Gb/s",
      "latencyy": "2 us", "source": "me"})");
  const std::string message = message_of([&] { load_nic(path); });
  EXPECT_NE(message.find("3 faults"), std::string::npos) << message;
  EXPECT_NE(message.find("line 2 /rate: must be above 0 B/s"), std::string::npos) << message;
  EXPECT_NE(message.find("line 3 /latencyy: unknown key; did you mean \"latency\"?"), std::string::npos) << message;
}

TEST(Catalogue, ANewerFormatIsRefused) {
  const Folder folder;
  const std::string path = folder.write("new.json", R"({"format_version": 2, "name": "new"})");
  EXPECT_NE(message_of([&] { load_gpu(path); }).find("/format_version: is 2"), std::string::npos);
  EXPECT_NE(message_of([&] { load_llm(path); }).find("/format_version: is 2"), std::string::npos);
}

TEST(Catalogue, AShapeThatContradictsItselfIsRefused) {
  const Folder folder;
  const std::string shape = R"("format_version": 1, "name": "x", "layers": 2, "hidden": 64, "heads": 4,
      "kv_heads": 3, "head_dim": 16, "attention": "mla", "experts": 4, "top_k": 5, "moe_intermediate": 64, "vocab": 100)";
  const std::string message = message_of([&] { load_llm(folder.write("x.json", "{" + shape + "}")); });
  for (const char* part : {"/mla: is needed", "/kv_heads: must divide heads", "/top_k: is more than there are experts"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Catalogue, AShapeTooLargeToCountIsRefused) {
  const Folder folder;
  const std::string path =
      folder.write("huge.json", R"({"format_version": 1, "name": "x", "layers": 4096, "hidden": 4194304,
      "heads": 4096, "kv_heads": 4096, "head_dim": 65536, "attention": "mha", "experts": 65536, "top_k": 1,
      "moe_intermediate": 4194304, "vocab": 100})");
  EXPECT_NE(message_of([&] { load_llm(path); }).find("1e16 parameters"), std::string::npos);
}

// MOESIM_DATA_DIR comes first; what holds no catalogue is named.
TEST(DataFolder, FollowsTheEnvironment) {
  const Folder folder;
  folder.write("models/llms/only.json", "{}");
  ::setenv("MOESIM_DATA_DIR", folder.path.c_str(), 1);
  EXPECT_EQ(data_folder(), folder.path);
  EXPECT_EQ(catalogue_names(CatalogueKind::llm), std::vector<std::string>{"only"});
  EXPECT_NE(message_of([] { catalogue_names(CatalogueKind::gpu); }).find("cannot be read"), std::string::npos);
  ::setenv("MOESIM_DATA_DIR", "/nowhere", 1);
  EXPECT_NE(message_of([] { data_folder(); }).find("holds no models/llms"), std::string::npos);
  ::unsetenv("MOESIM_DATA_DIR");
  EXPECT_EQ(data_folder(), fs::path(MOESIM_SOURCE_DIR));
}

}  // namespace
}  // namespace moesim
