#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include "sim/cli/command.h"
#include "sim/cli/net_job.h"
#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "sim/run/link_use.h"
#include "sim/run/names.h"
#include "sim/run/result_files.h"
#include "sim/run/text_summary.h"

namespace moesim {
namespace {

struct FlowAnswer {
  int64_t id = 0;
  double finish_s = 0;
};

template <class Visitor>
void fields(Visitor& v, FlowAnswer& s) {
  v.required("id", s.id, Range<int64_t>{}, "of the flow, as in the file");
  v.required("finish_s", s.finish_s, at_least(0.0), "when its last byte arrives, s");
}

// What a file and a case of the work set are both answered with.
struct NetAnswer {
  std::string fidelity;
  double rate_tolerance = 0;
  int64_t flow_count = 0;
  double makespan_s = 0;
  double p50_s = 0;
  double p99_s = 0;
  int64_t events = 0;
  int64_t solves = 0;
};

template <class Visitor>
void fields(Visitor& v, NetAnswer& s) {
  const auto count = at_least(int64_t{0});
  v.required("fidelity", s.fidelity, "ideal, flow, ...");
  v.required("rate_tolerance", s.rate_tolerance, at_least(0.0), "as a fraction; 0 is exact");
  v.required("flow_count", s.flow_count, count, "flows");
  v.required("makespan_s", s.makespan_s, at_least(0.0), "when the last flow is done, s");
  v.required("p50_s", s.p50_s, at_least(0.0), "median of the completion times (finish - start), s");
  v.required("p99_s", s.p99_s, at_least(0.0), "element ceil(0.99 n) - 1 of the sorted completion times, s");
  v.required("events", s.events, count, "events simulated");
  v.required("solves", s.solves, count, "instants at which rates were solved for");
}

struct WorkSetAnswer {
  std::string workload;
  int32_t hosts = 0;
  int32_t oversubscription = 1;
  NetAnswer answer;
};

template <class Visitor>
void fields(Visitor& v, WorkSetAnswer& s) {
  v.required("workload", s.workload, "a2a, zipf, rnd, rndz or stream");
  v.required("hosts", s.hosts, at_least(1), "of the fabric");
  v.required("oversubscription", s.oversubscription, at_least(1), "of the fabric");
  fields(v, s.answer);
}

struct FileAnswer {
  NetAnswer answer;
  std::vector<FlowAnswer> flows;
};

template <class Visitor>
void fields(Visitor& v, FileAnswer& s) {
  fields(v, s.answer);
  v.required("flows", s.flows, "each flow, in the order of the file");
}

po::options_description options() {
  po::options_description options = net_job_options();
  options.add_options()("out", po::value<std::string>(), "folder for links.csv, link_use.csv and flows.csv")(
      "format", po::value<std::string>()->default_value("text"), "what to print: text or json")(
      "stats", "print CPU seconds and peak memory on stderr");
  return options;
}

void print_text(const NetJob& job, const NetAnswer& answer, const FlowTimes& times, Duration longest) {
  if (job.work_set)
    fmt::print("workload    {}, {} hosts, {}:1\n", name_of(job.work_set->workload), job.work_set->hosts,
               job.work_set->oversubscription);
  fmt::print("flows       {} over {} links\nmakespan    {}\n", answer.flow_count, job.problem.links.size(),
             with_prefix(answer.makespan_s, "s"));
  if (answer.flow_count == 0) return;
  fmt::print("completion  median {}, p99 {}, longest {}\n", with_prefix(answer.p50_s, "s"),
             with_prefix(answer.p99_s, "s"), with_prefix(longest.seconds(), "s"));
  fmt::print("network     {}, {} events, {} solves\n", answer.fidelity, answer.events, answer.solves);
  double worst = -1;
  for (size_t flow = 0; flow < job.finish_s.size(); ++flow)
    if (job.finish_s[flow]) worst = std::max(worst, std::abs(times.finish[flow].seconds() - *job.finish_s[flow]));
  if (worst >= 0)
    fmt::print("known       largest difference to the finishes that the file gives: {}\n", with_prefix(worst, "s"));
}

NetAnswer answer_of(const NetJob& job, const FlowTimes& times, const std::vector<Duration>& completions) {
  NetAnswer answer;
  answer.fidelity = name_of(job.options.network.fidelity);
  answer.rate_tolerance = job.options.network.rate_tolerance;
  answer.flow_count = int64_t(job.problem.flows.size());
  answer.makespan_s = times.makespan.seconds();
  answer.p50_s = quantile(completions, 0.5).seconds();
  answer.p99_s = quantile(completions, 0.99).seconds();
  answer.events = int64_t(times.events);
  answer.solves = int64_t(times.solves);
  return answer;
}

std::string answer_json(const NetJob& job, const NetAnswer& answer, const FlowTimes& times) {
  if (job.work_set)
    return json_text(
        WorkSetAnswer{name_of(job.work_set->workload), job.work_set->hosts, job.work_set->oversubscription, answer});
  FileAnswer of_file{answer, {}};
  for (size_t flow = 0; flow < times.finish.size(); ++flow)
    of_file.flows.push_back({job.flow_ids[flow], times.finish[flow].seconds()});
  return json_text(of_file);
}

void write_tables(const std::filesystem::path& folder, const NetJob& job, const FlowTimes& times,
                  const LinkRecorder& recorder) {
  make_folder(folder);
  const Duration whole = times.makespan - Time{};
  const std::vector<LinkId> busiest = busiest_links(job.problem.links, times.use);
  std::string csv = "link,bytes,busy_s,utilisation,flows_mean\n";
  for (const LinkId link : busiest) {
    const LinkUse& use = times.use[index(link)];
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{}\n", csv_text(job.link_name(link)), use.carried.count,
                   use.busy.seconds(),
                   utilisation(double(use.carried.count), job.problem.links[index(link)].capacity, whole),
                   flows_mean(use));
  }
  write_file_atomically(folder / "links.csv", csv);
  write_file_atomically(folder / "link_use.csv",
                        link_use_csv(recorder, job.problem.links, busiest, job.link_name, times.makespan, false));
  csv = "flow,bytes,start_s,finish_s\n";
  for (size_t flow = 0; flow < times.finish.size(); ++flow)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{}\n", job.work_set ? int64_t(flow) : job.flow_ids[flow],
                   job.problem.flows.bytes(flow).count, job.problem.flows.start(flow).seconds(),
                   times.finish[flow].seconds());
  write_file_atomically(folder / "flows.csv", csv);
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  const auto begin = std::chrono::steady_clock::now();
  const NetJob job = net_job(given, positional);
  const bool wants_files = given.count("out") > 0;
  LinkRecorder recorder(wants_files ? job.problem.links.size() : 0);
  LinkRecorder* const listener = wants_files ? &recorder : nullptr;
  const FlowTimes times = solve_flows(job.problem, job.options, job.wiring.get(), listener);
  const std::vector<Duration> completions = sorted_completions(job.problem, times);
  const NetAnswer answer = answer_of(job, times, completions);
  if (wants_files) write_tables(given["out"].as<std::string>(), job, times, recorder);
  if (json)
    fmt::print("{}", answer_json(job, answer, times));
  else
    print_text(job, answer, times, quantile(completions, 1.0));
  if (given.count("stats") > 0)
    print_stats(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), answer.events);
  return kOk;
}

}  // namespace

const Command kNetCommand = {"net",
                             "[FILE]",
                             "Solve flows over links: a file (format moe-flow-oracle-1) or the common work set",
                             "  moesim net tests/golden/flows/parking_lot_3.json\n"
                             "  moesim net tests/golden/flows/ls64_a2a_2to1.json --format json\n"
                             "  moesim net --workload a2a --hosts 256 --oversubscription 2 --stats\n"
                             "  moesim net --workload a2a --fidelity packet --paths spray --transport credit\n"
                             "  moesim net --workload stream --flows 20000 --out out/stream\n",
                             options,
                             0,
                             1,
                             run};

}  // namespace moesim
