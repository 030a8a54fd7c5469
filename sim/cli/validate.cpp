#include <fmt/core.h>

#include "models/catalogue.h"
#include "sim/cli/command.h"
#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "validation/error_table.h"
#include "validation/scatter_plot.h"

namespace moesim {
namespace {

po::options_description options() {
  po::options_description options("options");
  options.add_options()("profile", po::value<std::string>(),
                        "device profile by name, such as h100-sxm/pytorch, or a file of one")(
      "gpu", po::value<std::string>(), "predict this GPU of the catalogue, whatever the files were measured on")(
      "beside", po::value<std::vector<std::string>>(),
      "file of another machine of the kind (repeatable): also say how far its times are from these")(
      "held-out", "only records that their files mark as such, which no fit sees")(
      "plot", po::value<std::string>(), "write predicted against measured there, as a picture (SVG)")(
      "records", po::value<std::string>(), "write each record's times and error there (CSV)")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json");
  return options;
}

// The profile on the GPU that the file was measured on. Notes on stderr say where that is a guess.
PredictionModel model_for(const DeviceProfile& profile, const MeasurementFile& file, const std::string& asked) {
  std::string gpu = asked.empty() ? file.gpu : asked;
  if (gpu.empty()) {
    fmt::print(stderr, "{}: moesim knows no {}; it is taken for the profile's {} (--gpu names another)\n", file.source,
               in_quotes(file.device), profile.gpu);
    gpu = profile.gpu;
  } else if (gpu != profile.gpu) {
    fmt::print(stderr, "{}: {} is scaled from {} to {} by their data sheets\n", file.source, profile.name, profile.gpu,
               gpu);
  }
  return {scaled_profile(profile, gpu), load_gpu(gpu), file.world};
}

std::vector<MeasurementFile> read_all(const std::vector<std::string>& paths) {
  std::vector<MeasurementFile> files;
  for (const std::string& path : paths) files.push_back(read_measurements(path));
  return files;
}

std::vector<Comparison> compare_all(const po::variables_map& given, const DeviceProfile& profile,
                                    const std::vector<std::string>& paths,
                                    std::map<std::string, int64_t>& not_predicted) {
  const std::string gpu = given.count("gpu") > 0 ? given["gpu"].as<std::string>() : "";
  std::vector<Comparison> compared;
  for (MeasurementFile& file : read_all(paths)) {
    if (given.count("held-out") > 0) std::erase_if(file.records, [](const Measurement& m) { return !m.held_out; });
    FileComparison one = compare(model_for(profile, file, gpu), file);
    compared.insert(compared.end(), std::make_move_iterator(one.compared.begin()),
                    std::make_move_iterator(one.compared.end()));
    for (const auto& [name, count] : one.not_predicted) not_predicted[name] += count;
  }
  return compared;
}

ErrorTable table_beside(const po::variables_map& given, const DeviceProfile& profile,
                        std::span<const Comparison> compared) {
  std::map<std::string, int64_t> ignored;
  const auto others = compare_all(given, profile, given["beside"].as<std::vector<std::string>>(), ignored);
  return error_table(taken_for(compared, others));
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  if (given.count("profile") == 0)
    throw ConfigError("--profile", "name a device profile; `moesim list profiles` lists those that there are");
  const DeviceProfile profile = load_profile(given["profile"].as<std::string>());
  if (given.count("gpu") > 0) load_gpu(given["gpu"].as<std::string>());  // a wrong name is told before files are read
  std::map<std::string, int64_t> not_predicted;
  const std::vector<Comparison> compared = compare_all(given, profile, positional, not_predicted);
  const ErrorTable table = error_table(compared);
  const bool has_others = given.count("beside") > 0;
  const ErrorTable beside = has_others ? table_beside(given, profile, compared) : ErrorTable{};
  if (given.count("plot") > 0)
    write_file_atomically(given["plot"].as<std::string>(),
                          scatter_plot_svg(compared, "Predicted against measured, " + profile.name));
  if (given.count("records") > 0) write_file_atomically(given["records"].as<std::string>(), comparison_csv(compared));
  if (json)
    fmt::print("{}", has_others ? json_text(ErrorTableBeside{table.errors, beside.errors}) : json_text(table));
  else
    fmt::print("{}{}", error_table_text(table, compared, not_predicted), has_others ? beside_text(beside) : "");
  return kOk;
}

}  // namespace

const Command kValidateCommand = {
    "validate",
    "MEASURED...",
    "Predict measurements with a device profile, and say how wrong it is",
    "  moesim validate measured.json --profile h100-sxm/pytorch\n"
    "  moesim validate measured.json --profile mine.json --format json --plot scatter.svg --records records.csv\n"
    "  moesim validate mine.json --profile h100-sxm/pytorch --beside theirs.json\n",
    options,
    1,
    1024,
    run};

}  // namespace moesim
