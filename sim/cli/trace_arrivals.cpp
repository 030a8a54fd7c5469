#include <fmt/ranges.h>

#include <algorithm>

#include "sim/cli/option_reader.h"
#include "sim/cli/trace_actions.h"
#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "traces/arrival_statistics.h"
#include "traces/document_supply.h"

namespace moesim {
namespace {

constexpr int64_t kRequestsMax = 100'000'000;
constexpr double kLatestS = 9e6;  // 104 days: what a time can hold

struct ArrivalRequest {
  std::optional<ArrivalOptions> process;  // none: the file's own arrivals
  int64_t count = 0;
  bool log_normal = false;
  uint64_t seed = 0;
  std::optional<std::string> documents;
  std::optional<std::string> out;
  bool json = false;
};

std::optional<ArrivalProcess> process_of(OptionReader& reader) {
  const std::optional<std::string> given = reader.text("process");
  if (!given) return {};
  std::vector<std::string> names;
  for (const auto& [process, name] : enum_names(ArrivalProcess{})) {
    if (*given == name) return process;
    names.push_back(name);
  }
  reader.fault("process", fmt::format("unknown process {}{}; known are {}", in_quotes(*given),
                                      suggestion(*given, names), fmt::join(names, ", ")));
  return {};
}

ArrivalRequest read_request(const po::variables_map& given, bool has_file) {
  OptionReader reader(given);
  ArrivalRequest request;
  ArrivalOptions options;
  const std::optional<ArrivalProcess> process = process_of(reader);
  options.process = process.value_or(ArrivalProcess::poisson);
  options.rate = reader.decimal("rate", 1e-6, 1e6, options.rate);
  options.variation = reader.decimal("variation", 0.05, 20, options.variation);
  options.burst_rate = reader.decimal("burst-rate", 1, 1e4, options.burst_rate);
  options.burst_share = reader.decimal("burst-share", 1e-4, 0.9999, options.burst_share);
  options.burst_s = reader.decimal("burst-s", 1e-3, 1e6, options.burst_s);
  options.period_s = reader.decimal("period-s", 1e-3, 1e8, options.period_s);
  check_fields(options, [&](const std::string&, const std::string& message) { reader.fault("burst-rate", message); });
  if (process || !has_file) request.process = options;
  request.count = reader.number("count", kRequestsMax);
  const std::string lengths = reader.text("lengths").value_or("empirical");
  if (lengths != "empirical" && lengths != "log-normal")
    reader.fault("lengths", fmt::format("must be empirical or log-normal, but is {}", in_quotes(lengths)));
  if (lengths == "empirical" && reader.has("lengths") && !has_file)
    reader.fault("lengths", "empirical needs a FILE whose requests to take");
  if (has_file && !process)
    for (const char* option : {"rate", "variation", "burst-rate", "burst-share", "burst-s", "period-s", "lengths"})
      if (reader.has(option)) reader.fault(option, "needs --process: FILE has arrivals and lengths of its own");
  request.log_normal = lengths == "log-normal" || !has_file;
  request.seed = uint64_t(reader.number_between("seed", 0, kSeedMax, 0));
  request.documents = reader.text("documents");
  request.out = reader.text("output");
  const std::string format = reader.text("format").value_or("text");
  if (format != "text" && format != "json")
    reader.fault("format", fmt::format("must be text or json, but is {}", in_quotes(format)));
  request.json = format == "json";
  throw_if_any("trace arrivals", reader.faults());
  return request;
}

// Each of arrivals, lengths and routing draws from a stream of its own.
std::vector<TimedRequest> drawn_requests(const ArrivalRequest& asked, const std::vector<TimedRequest>& recorded) {
  const LengthLaw law = recorded.empty() ? LengthLaw{} : fit_lengths(recorded);
  const int64_t count = asked.count > 0 ? asked.count : std::max<int64_t>(1000, int64_t(recorded.size()));
  ArrivalClock clock(*asked.process, Rng::stream(asked.seed, "arrivals"));
  Rng rng = Rng::stream(asked.seed, "request lengths");
  std::vector<TimedRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    const double at = clock.next_s();
    if (at > kLatestS) throw ConfigError("--count", fmt::format("request {} would arrive after more than 100 days", i));
    TimedRequest request;
    request.arrival = Time{} + duration_of_seconds(at);
    const RequestLengths lengths = asked.log_normal ? draw_lengths(law, rng) : draw_lengths(recorded, rng);
    request.prompt_tokens = lengths.prompt_tokens;
    request.output_tokens = lengths.output_tokens;
    requests.push_back(request);
  }
  return requests;
}

void assign_routing(const std::string& path, uint64_t seed, std::vector<TimedRequest>& requests) {
  TraceInput input(path);
  TraceParts parts = only_column("request");
  parts.columns[column_index("domain")] = true;
  RoutingTrace labels = input.head().about;
  labels.tokens = 0;
  show_progress(input, "reading");
  input.for_each_block(parts, [&](const RoutingTrace& block, int64_t) {
    labels.tokens += block.tokens;
    labels.request.insert(labels.request.end(), block.request.begin(), block.request.end());
    labels.domain.insert(labels.domain.end(), block.domain.begin(), block.domain.end());
  });
  DocumentSupply supply(trace_documents(labels));
  Rng rng = Rng::stream(seed, "request documents");
  for (TimedRequest& request : requests) supply.assign(request, rng);
}

}  // namespace

void add_arrival_options(po::options_description& options) {
  options.add_options()("process", po::value<std::string>(),
                        "arrivals: draw them: poisson, gamma, markov or diurnal; else FILE's own")(
      "rate", po::value<std::string>(), "arrivals: requests a second, mean; 1")(
      "variation", po::value<std::string>(),
      "arrivals: gamma: deviation of the time between requests over its mean; 2")(
      "burst-rate", po::value<std::string>(), "arrivals: markov: rate in a burst over the mean rate; 4")(
      "burst-share", po::value<std::string>(), "arrivals: markov: share of the time that is in bursts; 0.1")(
      "burst-s", po::value<std::string>(), "arrivals: markov: mean length of a burst, s; 10")(
      "period-s", po::value<std::string>(), "arrivals: diurnal: length of a day, s; 86400")(
      "count", po::value<std::string>(), "arrivals: requests; as many as FILE has, at least 1000 where they are drawn")(
      "lengths", po::value<std::string>(),
      "arrivals: of drawn requests: empirical, those of FILE's requests (default), or log-normal, fitted to them")(
      "documents", po::value<std::string>(), "arrivals: the trace whose documents the requests are routed as");
}

void run_trace_arrivals(const po::variables_map& given, const std::vector<std::string>& files) {
  const ArrivalRequest asked = read_request(given, !files.empty());
  std::vector<TimedRequest> requests;
  if (!files.empty()) requests = read_arrivals(files[0]);
  if (asked.process)
    requests = drawn_requests(asked, requests);
  else if (asked.count > 0 && asked.count < int64_t(requests.size()))
    requests.resize(size_t(asked.count));
  if (asked.documents) assign_routing(*asked.documents, asked.seed, requests);
  if (asked.out)
    write_file_atomically(*asked.out, asked.out->ends_with(".json") ? arrivals_json(requests) : arrivals_csv(requests));
  const ArrivalStatistics statistics = arrival_statistics(requests);
  fmt::print("{}", asked.json ? json_text(statistics) : arrival_text(statistics));
}

}  // namespace moesim
