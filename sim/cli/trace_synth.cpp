#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "sim/cli/option_reader.h"
#include "sim/cli/trace_actions.h"
#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "sim/run/synthesis_report.h"
#include "traces/presets.h"
#include "traces/routing_trace_file.h"
#include "traces/trace_copy.h"

namespace moesim {
namespace {

constexpr int64_t kBlockChoices = int64_t{1} << 20;

struct SynthRequest {
  std::string like;  // a trace's file, or the name of a preset
  bool is_preset = false;
  SynthesisOptions options;
  bool fits = true;  // else the rates are given
  std::optional<std::string> report;
};

SynthRequest read_request(const po::variables_map& given) {
  OptionReader reader(given);
  SynthRequest request;
  request.is_preset = reader.has("preset");
  request.like = reader.text(request.is_preset ? "preset" : "like").value_or("");
  if (reader.has("preset") == reader.has("like")) reader.fault("like", "either this or --preset must be given");
  if (request.is_preset) check_preset(request.like, [&](const std::string& text) { reader.fault("preset", text); });
  request.options.tokens = reader.number("tokens", kStreamedTokensMax);
  request.options.shape.experts = reader.number("experts", kTraceExpertsMax);
  request.options.shape.top_k = reader.number("top-k", kTraceTopKMax);
  request.options.shape.layers = reader.number("layers", kTraceLayersMax);
  request.options.seed = uint64_t(reader.number_between("seed", 0, kSeedMax, 0));
  request.options.rates.jump = reader.decimal("jump", 0, 1, 0);
  request.options.rates.swap = reader.decimal("swap", 0, 1, 0);
  request.fits = !reader.has("jump") && !reader.has("swap");
  request.report = reader.text("report");
  throw_if_any("trace synth", reader.faults());
  return request;
}

// What was not asked for is as recorded.
void complete(const RoutingTrace& recorded, SynthesisOptions& options) {
  RoutingShape& shape = options.shape;
  if (options.tokens == 0) options.tokens = recorded.tokens;
  if (shape.experts == 0) shape.experts = recorded.experts;
  if (shape.layers == 0) shape.layers = recorded.layers;
  if (shape.top_k == 0) shape.top_k = recorded.top_k;
  std::vector<Fault> faults;
  if (shape.top_k > shape.experts)
    faults.push_back({0, "--top-k", fmt::format("is {}, but there are {} experts", shape.top_k, shape.experts)});
  if (shape.layers * shape.top_k > kTraceRowMax)
    faults.push_back({0, "--layers", fmt::format("times the choices of a layer must be at most {}", kTraceRowMax)});
  throw_if_any("trace synth", std::move(faults));
}

void write(const TraceTemplates& templates, const SynthesisOptions& options, const std::string& out) {
  TraceSynthesizer synthesizer(templates, options);
  TraceSink sink(synthesizer.head(), out);
  const bool shown = isatty(STDERR_FILENO) != 0;
  const int64_t block_tokens = std::max<int64_t>(1, kBlockChoices / (options.shape.layers * options.shape.top_k));
  RoutingTrace block;
  while (synthesizer.counts().tokens < options.tokens) {
    if (interrupted) throw Stopped{};
    synthesizer.next_block(block_tokens, block);
    sink.append(block);
    if (shown) fmt::print(stderr, "\rmaking {:3} %", 100 * synthesizer.counts().tokens / options.tokens);
  }
  if (shown) fmt::print(stderr, "\r\x1b[K");
  sink.finish();
  fmt::print("{}: {} tokens, {} layers, top-{} of {} experts\n", out, options.tokens, options.shape.layers,
             options.shape.top_k, options.shape.experts);
}

}  // namespace

void add_synth_options(po::options_description& options) {
  options.add_options()("like", po::value<std::string>(), "synth: the recorded trace to imitate")(
      "preset", po::value<std::string>(), "synth: a name of `moesim list presets` instead")(
      "top-k", po::value<std::string>(), "synth: choices of a token in a layer; as recorded")(
      "jump", po::value<std::string>(), "synth: share of tokens after which another text goes on; else fitted")(
      "swap", po::value<std::string>(), "synth: share of layers after which another token goes on; else fitted")(
      "report", po::value<std::string>(),
      "synth: compare recorded and synthetic traces, into this file; JSON where its name ends so; - prints text");
}

void run_trace_synth(const po::variables_map& given, const std::vector<std::string>&) {
  SynthRequest request = read_request(given);
  const TraceTemplates templates =
      trace_templates(request.is_preset ? preset_trace(*find_preset(request.like)) : read_routing_trace(request.like));
  complete(templates.rows, request.options);
  std::vector<SynthesisTry> tries;
  if (request.fits) {
    tries = fit_rates(templates, request.options.seed);
    request.options.rates = tries.back().rates;
  } else {
    tries.push_back({request.options.rates, {}});
  }
  fmt::print("jump {} a token, swap {} a layer{}\n", request.options.rates.jump, request.options.rates.swap,
             templates.drifts ? "; the routing drifts, so each tenth is resampled by itself" : "");
  if (request.report) {
    const SynthesisReport report = synthesis_report(templates, tries, request.options.seed, request.like);
    if (*request.report == "-")
      fmt::print("{}", synthesis_text(report));
    else
      write_file_atomically(*request.report,
                            request.report->ends_with(".json") ? json_text(report) : synthesis_text(report));
  }
  if (given.count("output") > 0) write(templates, request.options, given["output"].as<std::string>());
}

}  // namespace moesim
