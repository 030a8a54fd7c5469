#include "sim/net/flow_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/config/reader.h"

namespace moesim {
namespace {

constexpr const char* kFormat = "moe-flow-oracle-1";

// Simulated time holds 106 days; what may last longer is refused before it is run.
constexpr double kSecondsMax = 9e6;

constexpr double kPicosecondsPerSecond = 1e12;

struct LinkRecord {
  int64_t id = 0;
  double capacity = 1;
  double latency = 0;
};

template <class Visitor>
void fields(Visitor& v, LinkRecord& r) {
  v.required("id", r.id, Range<int64_t>{}, "what paths call the link");
  v.required("capacity", r.capacity, between(1e-6, 1e18), "bytes per second");
  v.required("latency", r.latency, between(0.0, kSecondsMax), "seconds");
}

struct FlowRecord {
  int64_t id = 0;
  std::vector<int64_t> path;
  int64_t bytes = 0;
  double start = 0;
  std::optional<double> finish;
};

template <class Visitor>
void fields(Visitor& v, FlowRecord& r) {
  v.required("id", r.id, Range<int64_t>{}, "what results call the flow");
  v.required("path", r.path, Range<int64_t>{}, "the ids of the links that it crosses, in order");
  v.required("bytes", r.bytes, between(int64_t{0}, int64_t{1} << 53), "how much it carries");
  v.required("start", r.start, between(0.0, kSecondsMax), "seconds");
  v.optional("finish", r.finish, at_least(0.0), "the known answer, in seconds");
}

struct FlowFileHead {
  std::string format;
  std::optional<double> makespan;
};

template <class Visitor>
void fields(Visitor& v, FlowFileHead& r) {
  v.required("format", r.format, "the format and its version");
  v.optional("makespan", r.makespan, at_least(0.0), "the known answer, in seconds");
}

// Reads a record, and lets other keys be: they describe the case.
template <HasFields Record>
Record read_record(const JsonNode& node, const Place& place, std::vector<Fault>& faults) {
  Record record;
  std::vector<std::string> keys;
  for (const JsonNode& child : node.children) keys.push_back(child.key);
  read_fields(node, place, record, faults, std::move(keys));
  return record;
}

const std::vector<JsonNode>& read_list(const JsonNode& root, const char* key, std::vector<Fault>& faults) {
  static const std::vector<JsonNode> kNone;
  const Place place;
  const JsonNode* const list = root.find(key);
  if (list == nullptr) {
    add_fault(faults, root, place, fmt::format("missing key \"{}\"", key));
    return kNone;
  }
  if (list->kind == JsonKind::array) return list->children;
  add_type_fault(*list, Place{&place, key}, JsonKind::array, faults);
  return kNone;
}

// The place in the file's list of each link, by its id.
std::map<int64_t, LinkId> read_links(const JsonNode& root, std::vector<LinkRecord>& links, std::vector<Fault>& faults) {
  std::map<int64_t, LinkId> link_of_id;
  const Place top;
  const Place list{&top, "links"};
  for (const JsonNode& node : read_list(root, "links", faults)) {
    const Place place{&list, {}, int64_t(links.size())};
    const size_t faults_before = faults.size();
    links.push_back(read_record<LinkRecord>(node, place, faults));
    if (faults.size() == faults_before && !link_of_id.emplace(links.back().id, LinkId(links.size() - 1)).second)
      add_fault(faults, node, Place{&place, "id"}, fmt::format("link {} is given twice", links.back().id));
  }
  return link_of_id;
}

std::vector<LinkId> resolve_path(const JsonNode& path, const Place& place, const FlowRecord& flow,
                                 const std::map<int64_t, LinkId>& link_of_id, std::vector<Fault>& faults) {
  std::vector<LinkId> links;
  std::set<int64_t> crossed;
  if (flow.path.empty()) add_fault(faults, path, place, "must not be empty");
  for (size_t hop = 0; hop < flow.path.size(); ++hop) {
    const Place at{&place, {}, int64_t(hop)};
    const auto link = link_of_id.find(flow.path[hop]);
    if (link == link_of_id.end())
      add_fault(faults, path.children[hop], at, fmt::format("unknown link {}", flow.path[hop]));
    else if (!crossed.insert(link->first).second)
      add_fault(faults, path.children[hop], at, fmt::format("crosses link {} twice", flow.path[hop]));
    else
      links.push_back(link->second);
  }
  return links;
}

int64_t nearest_ps(double seconds) { return std::llround(seconds * kPicosecondsPerSecond); }

// The start from which the rounded latencies lead to the picosecond nearest to when the flow really enters its links,
// so that the roundings of a long path do not add up.
Time start_time(const FlowRecord& flow, const std::vector<LinkId>& path, const std::vector<LinkRecord>& links) {
  double enters_s = flow.start;
  int64_t latency_ps = 0;
  for (const LinkId link : path) {
    enters_s += links[index(link)].latency;
    latency_ps += nearest_ps(links[index(link)].latency);
  }
  return {std::max(int64_t{0}, nearest_ps(std::min(enters_s, kSecondsMax)) - latency_ps)};
}

// A flow gets at least an equal part of each link with all flows that ever cross it. Where even that bound does not
// fit into simulated time, the run might not either.
void check_durations(const JsonNode& root, const std::vector<LinkRecord>& links, const std::vector<FlowRecord>& records,
                     const FlowProblem& problem, std::vector<Fault>& faults) {
  std::vector<double> flows_on(links.size(), 0);
  for (const TimedFlow flow : problem.flows)
    for (const LinkId link : flow.path) ++flows_on[index(link)];
  for (size_t i = 0; i < problem.flows.size(); ++i) {
    double done_s = records[i].start;
    double slowest_s = 0;
    for (const LinkId link : problem.flows.path(i)) {
      done_s += links[index(link)].latency;
      slowest_s = std::max(slowest_s, double(records[i].bytes) * flows_on[index(link)] / links[index(link)].capacity);
    }
    if (done_s + slowest_s > kSecondsMax)
      faults.push_back(
          fault_at(root, fmt::format("/flows/{}", i),
                   fmt::format("may take {:.3g} s; simulated time holds {:.3g} s", done_s + slowest_s, kSecondsMax)));
  }
}

void read_flows(const JsonNode& root, const std::vector<LinkRecord>& links, const std::map<int64_t, LinkId>& link_of_id,
                FlowFile& file, std::vector<Fault>& faults) {
  const Place top;
  const Place list{&top, "flows"};
  std::set<int64_t> ids;
  std::vector<FlowRecord> records;
  for (const JsonNode& node : read_list(root, "flows", faults)) {
    const Place place{&list, {}, int64_t(records.size())};
    const size_t faults_before = faults.size();
    const FlowRecord& flow = records.emplace_back(read_record<FlowRecord>(node, place, faults));
    std::vector<LinkId> path;
    if (faults.size() == faults_before) {
      if (!ids.insert(flow.id).second)
        add_fault(faults, node, Place{&place, "id"}, fmt::format("flow {} is given twice", flow.id));
      path = resolve_path(*node.find("path"), Place{&place, "path"}, flow, link_of_id, faults);
    }
    const Time start = start_time(flow, path, links);
    file.problem.flows.push_back({path, Bytes{flow.bytes}, start});
    file.flow_ids.push_back(flow.id);
    file.finish_s.push_back(flow.finish);
  }
  if (faults.empty()) check_durations(root, links, records, file.problem, faults);
}

}  // namespace

FlowFile read_flow_file(const JsonNode& root, const std::string& source) {
  FlowFile file;
  std::vector<Fault> faults;
  if (root.kind != JsonKind::object)
    throw ConfigError(source, fmt::format("must be an object, but is {}", kind_name(root.kind)));
  const auto head = read_record<FlowFileHead>(root, Place{}, faults);
  const JsonNode* const format = root.find("format");
  if (format != nullptr && format->kind == JsonKind::string && head.format != kFormat)  // the rest would only mislead
    throw ConfigError(source,
                      {{format->line, "/format", fmt::format("must be \"{}\", but is \"{}\"", kFormat, head.format)}});
  file.makespan_s = head.makespan;

  std::vector<LinkRecord> links;
  const std::map<int64_t, LinkId> link_of_id = read_links(root, links, faults);
  for (const LinkRecord& link : links) {
    file.problem.links.push_back({Rate{link.capacity}, Duration{nearest_ps(link.latency)}});
    file.link_ids.push_back(link.id);
  }
  read_flows(root, links, link_of_id, file, faults);
  if (!faults.empty()) throw ConfigError(source, std::move(faults));
  return file;
}

FlowFile read_flow_file(const std::filesystem::path& path) {
  return read_flow_file(read_json_file(path), path.string());
}

FlowFileAnswer solve_flow_file(const FlowFile& file, Fidelity fidelity) {
  const FlowTimes times = solve_flows(file.problem, fidelity);
  FlowFileAnswer answer{times.makespan.seconds(), {}};
  for (const Time finish : times.finish) answer.finish_s.push_back(finish.seconds());
  return answer;
}

}  // namespace moesim
