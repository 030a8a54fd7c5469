#include <fmt/core.h>

#include "models/devices.h"
#include "models/llm.h"
#include "sim/cli/command.h"
#include "sim/config/docs.h"
#include "sim/config/json_text.h"
#include "sim/config/suggest.h"
#include "sim/run/results.h"
#include "sim/run/scenario.h"

namespace moesim {
namespace {

struct Format {
  const char* name;
  const char* title;
  std::string (*schema)(const std::string& title);
  std::string (*markdown)(const std::string& title);
};

constexpr Format kFormats[] = {
    {"scenario", "moesim scenario", schema_text<Scenario>, markdown<Scenario>},
    {"results", "moesim results", schema_text<Results>, markdown<Results>},
    {"llm", "moesim LLM", schema_text<LlmSpec>, markdown<LlmSpec>},
    {"gpu", "moesim GPU", schema_text<GpuSpec>, markdown<GpuSpec>},
    {"cpu", "moesim CPU", schema_text<CpuSpec>, markdown<CpuSpec>},
    {"nic", "moesim NIC", schema_text<NicSpec>, markdown<NicSpec>},
    {"link", "moesim link", schema_text<LinkSpec>, markdown<LinkSpec>},
};

po::options_description options() {
  po::options_description options("options");
  options.add_options()("markdown", "print the reference as Markdown instead, as in docs/scenario.md");
  return options;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const std::string name = positional.empty() ? "scenario" : positional[0];
  std::vector<std::string> names;
  for (const Format& format : kFormats) {
    names.push_back(format.name);
    if (name != format.name) continue;
    fmt::print("{}", given.count("markdown") > 0 ? format.markdown(format.title) : format.schema(format.title));
    return kOk;
  }
  throw ConfigError("schema", fmt::format("unknown format \"{}\"{}", name, suggestion(name, names)));
}

}  // namespace

const Command kSchemaCommand = {
    "schema",
    "[FORMAT]",
    "Print the JSON Schema of a file format: scenario, results, llm, gpu, cpu, nic or link",
    "  moesim schema > scenario.schema.json\n  moesim schema results\n  moesim schema scenario --markdown\n",
    options,
    0,
    1,
    run};

}  // namespace moesim
