#include "sim/net/flow_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Flows keep to the paths that they are listed with; a flow is its own end.
class ListedPaths final : public PathFinder {
 public:
  explicit ListedPaths(const FlowList& flows) : flows_(flows) {}

  Path by_hash(EndpointId flow, EndpointId, uint64_t) override { return flows_.path(index(flow)); }
  std::span<const Path> choices(EndpointId flow, EndpointId) override {
    only_choice_ = flows_.path(index(flow));
    return {&only_choice_, 1};
  }
  std::optional<Path> detour(Path, uint64_t, const std::vector<bool>&) override { return {}; }

 private:
  const FlowList& flows_;
  Path only_choice_;
};

// Starts each flow when it is due and writes down when it is done. One event is pending at a time: it starts all flows
// of its instant and posts that of the next, so that a million flows do not wait as a million events.
class FlowDriver {
 public:
  FlowDriver(const FlowProblem& problem, const MessageNetworkOptions& options, PathFinder* wiring,
             LinkRecorder* recorder)
      : problem_(problem),
        listed_(problem.flows),
        has_wiring_(wiring != nullptr),
        network_(sim_, problem.links, options, has_wiring_ ? *wiring : listed_, {&FlowDriver::done, this}) {
    network_.record(recorder);
    times_.finish.resize(problem.flows.size());
  }

  FlowTimes run() {
    sort_starts();
    post_starts();
    sim_.run();
    CHECK(live(network_.network()) == 0);
    CHECK(done_ == problem_.flows.size());
    for (size_t link = 0; link < problem_.links.size(); ++link)
      times_.use.push_back(use(network_.network(), LinkId(link)));
    times_.digest = sim_.digest.value();
    times_.events = sim_.events();
    times_.solves = solves(network_.network());
    return std::move(times_);
  }

 private:
  // Flows by start, those of one start as they are listed. Most lists are in that order already, and need no other.
  void sort_starts() {
    const FlowList& flows = problem_.flows;
    bool in_order = true;
    for (size_t flow = 1; flow < flows.size() && in_order; ++flow)
      in_order = flows.start(flow - 1) <= flows.start(flow);
    if (in_order) return;
    by_start_.resize(flows.size());
    std::iota(by_start_.begin(), by_start_.end(), uint32_t{0});
    std::stable_sort(by_start_.begin(), by_start_.end(),
                     [&](uint32_t a, uint32_t b) { return flows.start(a) < flows.start(b); });
  }

  size_t flow_at(size_t place) const { return by_start_.empty() ? place : by_start_[place]; }

  void post_starts() {
    if (next_ == problem_.flows.size()) return;
    sim_.at<&FlowDriver::start_due>(problem_.flows.start(flow_at(next_)), *this);
  }

  void start_due() {
    for (; next_ < problem_.flows.size(); ++next_) {
      const size_t flow = flow_at(next_);
      if (problem_.flows.start(flow) > sim_.now()) break;
      network_.send(message(flow), flow);
    }
    post_starts();
  }

  Message message(size_t flow) const {
    const Bytes bytes = problem_.flows.bytes(flow);
    if (!has_wiring_) return {EndpointId(flow), EndpointId(flow), bytes, flow};
    const Path path = problem_.flows.path(flow);
    return {EndpointId(path.front()), EndpointId(path.back()), bytes, flow};
  }

  static void done(void* object, uint64_t flow) {
    FlowDriver& driver = *static_cast<FlowDriver*>(object);
    driver.times_.finish[flow] = driver.sim_.now();
    driver.times_.makespan = std::max(driver.times_.makespan, driver.sim_.now());
    ++driver.done_;
  }

  const FlowProblem& problem_;
  Simulator sim_;
  ListedPaths listed_;
  bool has_wiring_;
  MessageNetwork network_;
  FlowTimes times_;
  std::vector<uint32_t> by_start_;  // empty where flows are listed by start
  size_t next_ = 0;                 // the next to start, as a place in that order
  size_t done_ = 0;
};

}  // namespace

FlowList::FlowList(std::initializer_list<Listed> flows) {
  for (const Listed& flow : flows) push_back({flow.path, flow.bytes, flow.start});
}

void FlowList::reserve(size_t flows, size_t hops) {
  hops_.reserve(hops);
  path_begin_.reserve(flows + 1);
  bytes_.reserve(flows);
}

void FlowList::push_back(const TimedFlow& flow) {
  CHECK(hops_.size() + flow.path.size() <= std::numeric_limits<uint32_t>::max());
  hops_.insert(hops_.end(), flow.path.begin(), flow.path.end());
  path_begin_.push_back(uint32_t(hops_.size()));
  bytes_.push_back(flow.bytes);
  if (!starts_.empty()) starts_.emplace_back();
  set_start(size() - 1, flow.start);
}

void FlowList::set_start(size_t flow, Time start) {
  if (starts_.empty() && start == Time{}) return;
  starts_.resize(size());
  starts_[flow] = start;
}

FlowTimes solve_flows(const FlowProblem& problem, const NetworkOptions& options, LinkRecorder* recorder) {
  MessageNetworkOptions messages;
  messages.network = options;
  return solve_flows(problem, messages, nullptr, recorder);
}

FlowTimes solve_flows(const FlowProblem& problem, const MessageNetworkOptions& options, PathFinder* wiring,
                      LinkRecorder* recorder) {
  return FlowDriver(problem, options, wiring, recorder).run();
}

std::vector<Duration> sorted_completions(const FlowProblem& problem, const FlowTimes& times) {
  std::vector<Duration> taken;
  taken.reserve(times.finish.size());
  for (size_t flow = 0; flow < times.finish.size(); ++flow)
    taken.push_back(times.finish[flow] - problem.flows.start(flow));
  std::sort(taken.begin(), taken.end());
  return taken;
}

Duration quantile(const std::vector<Duration>& sorted, double q) {
  if (sorted.empty()) return {};
  // Without the subtraction 0.99 * 100 could round to a little over 99.
  const double place = std::ceil(q * double(sorted.size()) - 1e-6) - 1;
  return sorted[size_t(std::clamp(place, 0.0, double(sorted.size() - 1)))];
}

}  // namespace moesim
