#include "models/huggingface.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "models/catalogue.h"
#include "sim/config/error.h"
#include "sim/config/json.h"
#include "sim/config/writer.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

LlmSpec read(const std::string& text) {
  return read_huggingface_config(parse_json(text, "config.json"), "config.json", "it");
}

std::string message_of(const std::string& text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// What is said of a model, rather than what it is.
OrderedJson shape(LlmSpec llm) {
  llm.name = llm.source = llm.note = "";
  llm.status = Status::read;
  llm.published.reset();
  return to_json(llm);
}

// Each file holds what its authors publish, of the keys that are read; it is called as the catalogue's entry.
TEST(HuggingFace, APublishedConfigGivesTheCataloguesShape) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(MOESIM_SOURCE_DIR) / "tests/models/huggingface")) {
    SCOPED_TRACE(entry.path().string());
    const LlmSpec published = load_llm(entry.path().string());
    const LlmSpec ours = load_llm(entry.path().stem().string());
    EXPECT_EQ(total_parameters(published), total_parameters(ours));
    EXPECT_EQ(active_parameters(published), active_parameters(ours));
    EXPECT_EQ(shape(published), shape(ours));
    ++compared;
  }
  EXPECT_EQ(compared, 18);
}

TEST(HuggingFace, AnUnknownFamilyIsToldWhichAreKnown) {
  const std::string message = message_of(R"({"model_type": "mixtrall"})");
  EXPECT_NE(message.find("/model_type: model family \"mixtrall\" is not supported; did you mean \"mixtral\"?"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("longcat_flash"), std::string::npos) << message;
  EXPECT_NE(message_of(R"({"architectures": []})").find("is not supported"), std::string::npos);
}

TEST(HuggingFace, TheArchitectureServesWhereTheFamilyIsNotSaid) {
  const LlmSpec llm = read(R"({"architectures": ["OlmoeForCausalLM"], "hidden_size": 2048, "intermediate_size": 1024,
      "num_attention_heads": 16, "num_hidden_layers": 16, "num_experts": 64, "num_experts_per_tok": 8, "vocab_size": 50304})");
  EXPECT_EQ(total_parameters(llm), total_parameters(load_llm("olmoe-1b-7b")));
}

TEST(HuggingFace, AllMissingKeysAreToldTogether) {
  const std::string message = message_of(R"({"model_type": "dbrx", "d_model": 6144, "n_heads": -1, "n_layers": 40})");
  for (const char* part :
       {"/n_heads: must be an integer", "/attn_config: is missing", "/attn_config/kv_n_heads: is missing",
        "/ffn_config: is missing", "/ffn_config/moe_top_k: is missing", "/vocab_size: is missing"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(HuggingFace, ExtraKeysAreFineAndImpossibleOnesAreNot) {
  const std::string shape_of_it = R"("model_type": "mixtral", "hidden_size": 64, "num_attention_heads": 4,
      "num_hidden_layers": 2, "num_local_experts": 4, "intermediate_size": 64, "vocab_size": 100, "anything": {"a": [1]})";
  EXPECT_EQ(message_of("{" + shape_of_it + R"(, "num_experts_per_tok": 2})"), "");
  EXPECT_NE(
      message_of("{" + shape_of_it + R"(, "num_experts_per_tok": 5})").find("top_k is more than there are experts"),
      std::string::npos);
  EXPECT_NE(message_of("{" + shape_of_it + R"(, "num_experts_per_tok": 1.5})").find("must be an integer"),
            std::string::npos);
  EXPECT_NE(
      message_of("{" + shape_of_it + R"(, "num_experts_per_tok": 99999999999999999999})").find("must be an integer"),
      std::string::npos);
}

TEST(HuggingFace, LeadingDenseLayersOfAQwenAreTakenAndOthersRefused) {
  const std::string qwen =
      R"("model_type": "qwen3_moe", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4,
      "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "intermediate_size": 96, "vocab_size": 100)";
  const LlmSpec llm = read("{" + qwen + R"(, "mlp_only_layers": [0, 1]})");
  EXPECT_EQ(moe_layers(llm), 2);
  EXPECT_EQ(llm.dense_intermediate, 96);
  EXPECT_NE(message_of("{" + qwen + R"(, "mlp_only_layers": [2]})").find("only leading layers"), std::string::npos);
}

}  // namespace
}  // namespace moesim
