#include "sim/cli/net_job.h"

#include <fmt/core.h>

#include <charconv>

#include "sim/config/error.h"
#include "sim/config/suggest.h"
#include "sim/config/units_text.h"
#include "sim/net/flow_file.h"
#include "sim/run/names.h"

namespace moesim {
namespace {

constexpr int32_t kHostsMax = 65'536;
constexpr int64_t kFlowsMax = 20'000'000;  // about 5 GB
constexpr Percentage kToleranceMax{0.1};

// The faults of the options, each under its name.
class OptionReader {
 public:
  explicit OptionReader(const po::variables_map& given) : given_(given) {}

  bool has(const char* option) const { return given_.count(option) > 0; }
  std::string text(const char* option) const { return given_[option].as<std::string>(); }
  void fault(const std::string& option, const std::string& message) { faults_.push_back({0, option, message}); }
  std::vector<Fault>& faults() { return faults_; }

  // The number that is given, or the default where none is or it is wrong.
  int32_t number(const char* option, int32_t otherwise, int32_t low, int32_t high, bool as_ratio = false) {
    if (!has(option)) return otherwise;
    std::string given = text(option);
    if (as_ratio && given.ends_with(":1")) given.resize(given.size() - 2);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error == std::errc() && end == given.data() + given.size() && value >= low && value <= high)
      return int32_t(value);
    fault(name(option),
          fmt::format("must be a whole number between {} and {}, but is {}", low, high, in_quotes(text(option))));
    return otherwise;
  }

  double percentage(const char* option, Percentage high) {
    Percentage value;
    if (!has(option)) return 0;
    const std::string wrong = parse_quantity(text(option), value);
    if (wrong.empty() && value <= high) return value.fraction;
    fault(name(option),
          wrong.empty() ? fmt::format("must be at most {}, but is {}", quantity_text(high), text(option)) : wrong);
    return 0;
  }

  // A policy by its name, with its default options.
  template <class Kind>
  PolicyChoice<Kind> policy(const char* option, const char* otherwise) {
    if (!has(option)) return PolicyChoice<Kind>(otherwise);
    if (Registry<Kind>::instance().find(text(option)) != nullptr) return PolicyChoice<Kind>(text(option));
    fault(name(option), fmt::format("unknown {} {}{}", Kind::kind, in_quotes(text(option)),
                                    suggestion(text(option), Registry<Kind>::instance().names())));
    return PolicyChoice<Kind>(otherwise);
  }

  template <class Enum>
  Enum choice(const char* option, const char* noun, Enum otherwise) {
    if (!has(option)) return otherwise;
    std::vector<std::string> names;
    for (const auto& [value, known] : enum_names(Enum{})) {
      if (text(option) == known) return value;
      names.emplace_back(known);
    }
    fault(name(option), fmt::format("unknown {} {}{}", noun, in_quotes(text(option)), suggestion(text(option), names)));
    return otherwise;
  }

 private:
  static std::string name(const char* option) { return std::string("--") + option; }

  const po::variables_map& given_;
  std::vector<Fault> faults_;
};

struct CaseOptions {
  WorkSetCase which;
  int32_t stream_flows = kStreamFlows;
};

CaseOptions read_case(OptionReader& options) {
  CaseOptions read;
  WorkSetCase& which = read.which;
  const size_t faults_before = options.faults().size();
  which.workload = options.choice("workload", "workload", Workload::a2a);
  which.hosts = options.number("hosts", 64, 32, kHostsMax);
  which.oversubscription = options.number("oversubscription", 1, 1, 32, true);
  read.stream_flows = options.number("flows", kStreamFlows, 1, int32_t(kFlowsMax));
  if (options.faults().size() > faults_before) return read;  // the rest would only mislead
  const int32_t hosts_a_leaf = LeafSpine::hosts_a_leaf_of(which.hosts);
  if (which.hosts % hosts_a_leaf != 0)
    options.fault("--hosts", fmt::format("{} hosts do not fill leaves of {}; give a multiple of {}", which.hosts,
                                         hosts_a_leaf, hosts_a_leaf));
  if (hosts_a_leaf % which.oversubscription != 0)
    options.fault("--oversubscription", fmt::format("{} must divide the {} hosts of a leaf, which has as many spines",
                                                    which.oversubscription, hosts_a_leaf));
  const int64_t pairs = int64_t{which.hosts} * (which.hosts - 1);
  if (which.workload != Workload::stream && pairs > kFlowsMax)
    options.fault("--hosts",
                  fmt::format("{} hosts make {} flows; at most {} are solved at once", which.hosts, pairs, kFlowsMax));
  if (which.workload != Workload::stream && options.has("flows"))
    options.fault("--flows", "is for --workload stream; the others have a flow a pair of hosts");
  return read;
}

void check_source(OptionReader& options, const std::vector<std::string>& positional) {
  const bool generated = options.has("workload");
  if (positional.empty() && !generated)
    options.fault("", "give a FILE of flows, or --workload a2a, zipf, rnd, rndz or stream");
  if (!positional.empty() && generated)
    options.fault("", fmt::format("give either the file {} or --workload, not both", in_quotes(positional[0])));
  if (generated) return;
  for (const char* option : {"hosts", "oversubscription", "flows", "paths"})
    if (options.has(option)) options.fault(std::string("--") + option, "is for --workload");
}

NetJob job_of_file(const std::string& path) {
  FlowFile file = read_flow_file(std::filesystem::path(path));
  NetJob job;
  job.problem = std::move(file.problem);
  job.flow_ids = std::move(file.flow_ids);
  job.finish_s = std::move(file.finish_s);
  job.link_name = [ids = std::move(file.link_ids)](LinkId link) { return std::to_string(ids[index(link)]); };
  return job;
}

}  // namespace

po::options_description net_job_options() {
  po::options_description options("options");
  options.add_options()("workload", po::value<std::string>(),
                        "generate this of the common work set instead of reading a file: a2a, zipf, rnd, rndz, stream")(
      "hosts", po::value<std::string>(), "hosts of the leaf-spine fabric: 64, or a multiple of 32; 64 unless said")(
      "oversubscription", po::value<std::string>(),
      "bandwidth of a leaf's hosts over that of its spines, 2 or 2:1; 1 unless said")(
      "flows", po::value<std::string>(), "flows of a stream; 100000 unless said")(
      "fidelity", po::value<std::string>()->default_value("flow"),
      "flow (max-min fair), packet or ideal (no contention)")(
      "rate-tolerance", po::value<std::string>(), "how far completion times may be off, such as 1%; exact unless said")(
      "paths", po::value<std::string>(),
      "how flows of a workload use the spines: a name of `moesim list paths`; hash unless said")(
      "transport", po::value<std::string>(), "of --fidelity packet: a name of `moesim list transports`");
  return options;
}

NetJob net_job(const po::variables_map& given, const std::vector<std::string>& positional) {
  OptionReader options(given);
  check_source(options, positional);
  MessageNetworkOptions messages;
  NetworkOptions& network = messages.network;
  network.fidelity = options.choice("fidelity", "fidelity", Fidelity::flow);
  network.rate_tolerance = options.percentage("rate-tolerance", kToleranceMax);
  messages.paths = options.policy<PathPolicy>("paths", "hash");
  network.packet.transport = options.policy<TransportPolicy>("transport", "credit");
  if (network.fidelity != Fidelity::flow && network.rate_tolerance > 0)
    options.fault("--rate-tolerance", "is for --fidelity flow");
  if (network.fidelity != Fidelity::packet && options.has("transport"))
    options.fault("--transport", "is for --fidelity packet");
  CaseOptions read;
  if (options.has("workload")) read = read_case(options);
  throw_if_any("net", options.faults());

  NetJob job;
  if (!positional.empty()) {
    job = job_of_file(positional[0]);
  } else {
    const LeafSpine net(read.which.hosts, read.which.oversubscription);
    job.problem = work_set(read.which.workload, net, read.stream_flows);
    job.link_name = [net](LinkId link) { return net.link_name(link); };
    job.work_set = read.which;
    if (messages.paths.name() != "hash") job.wiring = std::make_unique<LeafSpinePaths>(net);
  }
  job.options = messages;
  return job;
}

}  // namespace moesim
