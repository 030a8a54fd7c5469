// Tables and pictures of what links and pairs of GPUs carried.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "sim/run/fabric_layout.h"
#include "sim/run/fabric_picture.h"
#include "sim/run/link_use.h"
#include "sim/run/pair_picture.h"
#include "sim/run/runner.h"
#include "sim/run/svg.h"
#include "sim/run/timeline_file.h"

namespace moesim {
namespace {

TraceStore traces;

struct Recorded {
  Results results;
  RunRecord record;
};

Recorded recorded(const std::vector<std::string>& settings = {}) {
  Recorded run;
  const std::string scenario = std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json";
  run.results = run_scenario(load_scenario(scenario, settings, traces), {.record = &run.record});
  return run;
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// Every element that is opened is closed, in order.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    ASSERT_EQ(svg.find('<', at + 1) < end, false) << "an unescaped < at " << at;
    const std::string tag = svg.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find(' '));
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(RunRecord, ChangesNoResult) {
  const Recorded with = recorded({"/steps=2"});
  const std::string scenario = std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json";
  const Results without = run_scenario(load_scenario(scenario, {"/steps=2"}, traces), {});
  EXPECT_EQ(with.results.digest, without.digest);
  EXPECT_EQ(with.results.events, without.events);
}

// Pairs add up to what was sent, and nobody sends to itself. Over all buckets a link carries what it carries.
TEST(RunRecord, AccountsForEveryByte) {
  const Recorded run = recorded({"/steps=3"});
  const GpuPairs& pairs = run.record.pairs;
  EXPECT_EQ(std::accumulate(pairs.bytes.begin(), pairs.bytes.end(), int64_t{0}), run.results.bytes_sent);
  for (int32_t gpu = 0; gpu < pairs.cells; ++gpu) EXPECT_EQ(pairs.bytes[size_t(gpu) * size_t(pairs.cells + 1)], 0);
  double steps_s = 0;
  for (const StepResult& step : run.results.steps) steps_s += step.time_s;
  EXPECT_NEAR(run.record.end.seconds(), steps_s, 1e-12);
  for (size_t link = 0; link < run.record.use.size(); ++link) {
    const std::vector<double>& bytes = run.record.over_time->bytes(LinkId(link));
    const double carried = double(run.record.use[link].carried.count);
    EXPECT_NEAR(std::accumulate(bytes.begin(), bytes.end(), 0.0), carried, 1e-9 * carried);
  }
}

// Packets are recorded one by one, and their links have queues.
TEST(RunRecord, KnowsPacketsToo) {
  const Recorded run = recorded({"/network=packet"});
  for (size_t link = 0; link < run.record.use.size(); ++link) {
    const std::vector<double>& bytes = run.record.over_time->bytes(LinkId(link));
    const double carried = double(run.record.use[link].carried.count);
    EXPECT_GE(std::accumulate(bytes.begin(), bytes.end(), 0.0), carried * (1 - 1e-9));
  }
  for (const LinkResult& link : run.results.links) {
    ASSERT_TRUE(link.queue.has_value()) << link.link;
    EXPECT_GT(link.queue->bytes_max, 0);
  }
  EXPECT_FALSE(recorded().results.links[0].queue.has_value());
}

// 5,000 GPUs are 625 servers of 8; of 100,000 GPUs a cell has 8 servers, as 12,500, 6,250 and 3,125 cells are too many.
TEST(GpuPairs, StaySmall) {
  EXPECT_EQ(gpus_a_cell(2048, 8), 1);
  EXPECT_EQ(gpus_a_cell(5000, 8), 8);
  EXPECT_EQ(gpus_a_cell(100'000, 8), 64);
}

// A link of 1 GB/s carried 1000 B in 4 us: 25 %. Two flows, one of 2 us and one of 3 us, in 4 us with a flow on it.
TEST(LinkUseTable, DefinesWhatItSays) {
  EXPECT_DOUBLE_EQ(utilisation(1000, 1_GBps, 4_us), 0.25);
  EXPECT_EQ(utilisation(1000, 1_GBps, {}), 0);
  EXPECT_DOUBLE_EQ(flows_mean({1000_B, 4_us, 5e-6}), 1.25);
  EXPECT_EQ(flows_mean({}), 0);
}

TEST(LinkUseTable, ListsTheBusiestFirstAndNoIdleOne) {
  const std::vector<Link> links = {{1_GBps, {}}, {2_GBps, {}}, {1_GBps, {}}, {1_GBps, {}}};
  const std::vector<LinkUse> use = {{100_B, 1_us, 0}, {500_B, 1_us, 0}, {0_B, {}, 0}, {250_B, 1_us, 0}};
  EXPECT_EQ(busiest_links(links, use), (std::vector<LinkId>{LinkId{1}, LinkId{3}, LinkId{0}}));
}

// 750 B from 0 to 1.5 ns, and a run that ends after 1.5 ns: the second bucket is cut, or left out where only whole
// ones count.
TEST(LinkUseTable, EndsWithTheRun) {
  LinkRecorder recorder(1);
  recorder.add(LinkId{0}, 750_B, Time{}, Time{1500});
  const std::vector<Link> links = {{Rate{1e12}, {}}};
  const std::vector<LinkId> shown = {LinkId{0}};
  const auto name = [](LinkId) { return std::string("a, b"); };
  const std::string csv = link_use_csv(recorder, links, shown, name, Time{1500}, false);
  EXPECT_EQ(csv.find("link,begin_s,end_s,bytes,utilisation\n\"a, b\",0,1e-09,500,0."), 0u) << csv;
  EXPECT_NE(csv.find("\n\"a, b\",1e-09,1.5e-09,250,0."), std::string::npos) << csv;
  EXPECT_EQ(count(csv, "\n"), 3u);
  EXPECT_EQ(count(link_use_csv(recorder, links, shown, name, Time{1500}, true), "\n"), 2u);
}

TEST(TimelineFile, HasCountersThatEndAtZero) {
  const Recorded run = recorded();
  const std::string json = timeline_json(run.record, run.results);
  EXPECT_GT(count(json, "\"ph\":\"C\""), 2 * kTimelineLinks);
  const size_t last = json.rfind("\"ph\":\"C\"");
  EXPECT_NE(json.find("\"used\":0.0000", last), std::string::npos);
}

// A fabric has a box for each vertex but idle CPUs, a line each way for each two that are joined, and all of it lies
// inside the picture.
TEST(FabricLayout, PlacesEverything) {
  const Recorded run = recorded();
  const Topology& topology = run.record.topology;
  const FabricLayout layout = fabric_layout(topology, std::vector<bool>(topology.links.size(), true));
  std::set<std::string> names;
  for (const FabricBox& box : layout.boxes) {
    names.insert(box.name);
    EXPECT_GE(box.x, 0);
    EXPECT_GE(box.y, 0);
    EXPECT_LE(box.x + box.width, layout.width);
    EXPECT_LE(box.y + box.height, layout.height);
  }
  EXPECT_EQ(names.size(), topology.by_name.size());
  std::set<LinkId> drawn;
  for (const FabricLine& line : layout.lines) drawn.insert(line.links.begin(), line.links.end());
  EXPECT_EQ(drawn.size(), topology.links.size());
  const FabricLayout without_cpus = fabric_layout(topology, std::vector<bool>(topology.links.size(), false));
  EXPECT_EQ(without_cpus.boxes.size(), layout.boxes.size() - topology.cpus.size());
}

TEST(FabricLayout, BoxesOfARowDoNotOverlap) {
  for (const char* nodes : {"/cluster/nodes=2", "/cluster/nodes=8"}) {
    const Recorded run = recorded({nodes});
    const Topology& topology = run.record.topology;
    const FabricLayout layout = fabric_layout(topology, std::vector<bool>(topology.links.size(), true));
    for (const FabricBox& a : layout.boxes)
      for (const FabricBox& b : layout.boxes)
        EXPECT_FALSE(&a != &b && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height &&
                     b.y < a.y + a.height)
            << a.name << " and " << b.name;
  }
}

// 300 servers of 8 GPUs on 40 leaves, all joined with 70 spines, three switches in a ring above: at most 64 boxes a
// row, and every link is in some line or box.
TEST(FabricLayout, DrawsManyPartsTogether) {
  Topology topology;
  std::vector<VertexId> leaves, spines, ring;
  for (int i = 0; i < 40; ++i) leaves.push_back(add_vertex(topology, {VertexKind::leaf, "leaf" + std::to_string(i)}));
  for (int i = 0; i < 70; ++i) spines.push_back(add_vertex(topology, {VertexKind::spine, "spine" + std::to_string(i)}));
  for (int i = 0; i < 3; ++i) ring.push_back(add_vertex(topology, {VertexKind::switch_, "core" + std::to_string(i)}));
  const Link link{50_GBps, 1_us};
  for (const VertexId leaf : leaves)
    for (const VertexId spine : spines) add_link(topology, leaf, spine, link, LinkKind::fabric);
  for (size_t i = 0; i < 3; ++i) {
    add_link(topology, ring[i], ring[(i + 1) % 3], link, LinkKind::fabric);
    add_link(topology, ring[i], spines[i], link, LinkKind::fabric);
  }
  topology.nodes = 300;
  for (int32_t node = 0; node < 300; ++node) {
    const std::string name = "node" + std::to_string(node);
    const VertexId nic = add_vertex(topology, {VertexKind::nic, name + "/nic0", node});
    add_link(topology, nic, leaves[size_t(node) % 40], link, LinkKind::nic);
    for (int gpu = 0; gpu < 8; ++gpu) {
      topology.gpus.push_back(add_vertex(topology, {VertexKind::gpu, name + "/gpu" + std::to_string(gpu), node}));
      add_link(topology, topology.gpus.back(), nic, link, LinkKind::pcie);
    }
  }
  const FabricLayout layout = fabric_layout(topology, std::vector<bool>(topology.links.size(), true));
  std::map<double, int> boxes_at;
  size_t links = 0;
  for (const FabricBox& box : layout.boxes) {
    ++boxes_at[box.y];
    links += box.inside.size();
  }
  for (const FabricLine& line : layout.lines) links += line.links.size();
  EXPECT_EQ(links, topology.links.size());
  EXPECT_EQ(boxes_at.size(), 4u);  // servers, leaves, spines, cores
  for (const auto& [y, boxes] : boxes_at) EXPECT_LE(boxes, 64);

  RunRecord record;
  record.use.resize(topology.links.size());
  for (size_t each = 0; each < topology.links.size(); ++each) record.use[each].carried = Bytes{int64_t(each) * 1000};
  record.topology = std::move(topology);
  record.end = Time{} + 1_s;
  const std::string svg = fabric_svg(record, "a <large> & \"tangled\" fabric");
  expect_well_formed(svg);
  EXPECT_LT(svg.size(), 2'000'000u);
}

TEST(Pictures, AreWellFormedAndSayWhatLinksCarried) {
  const Recorded run = recorded();
  const std::string fabric = fabric_svg(run.record, "tiny");
  expect_well_formed(fabric);
  EXPECT_NE(fabric.find("node0/nic0 to leaf0: "), std::string::npos);
  const std::string pairs = gpu_pairs_svg(run.record, "tiny");
  expect_well_formed(pairs);
  EXPECT_NE(pairs.find("<title>node0/gpu0 to node1/gpu0: "), std::string::npos);
}

TEST(Pictures, OfARunThatSentNothingAreEmptyButThere) {
  const Recorded run =
      recorded({"/cluster/nodes=1", "/cluster/node/gpus=1", "/cluster/node/nics=0", "/cluster/fabric=single-node"});
  expect_well_formed(fabric_svg(run.record, "alone"));
  expect_well_formed(gpu_pairs_svg(run.record, "alone"));
  EXPECT_EQ(gpu_pairs_csv(run.record), "from,to,bytes\n");
}

// A run against itself: nothing is less or more. Against another placement, something is.
TEST(Pictures, ShowWhatChanged) {
  std::vector<RunRecord> records;
  for (const char* placement : {"/placement=contiguous", "/placement=contiguous", "/placement=random"})
    records.push_back(recorded({placement}).record);
  const std::vector<std::string> labels = {"a", "b", "c"};
  const std::span<const RunRecord> all = records;
  const std::string same = fabric_compare_svg(all.first(2), std::span(labels).first(2));
  expect_well_formed(same);
  EXPECT_EQ(count(same, "+0.00 points"), count(same, " points, from"));
  const std::string changed = fabric_compare_svg(all, labels);
  expect_well_formed(changed);
  EXPECT_LT(count(changed, "+0.00 points"), count(changed, " points, from"));
  expect_well_formed(gpu_pairs_compare_svg(all, labels));
  EXPECT_TRUE(same_fabric(records[0], records[2]));
  EXPECT_FALSE(same_fabric(records[0], recorded({"/cluster/nodes=3"}).record));
}

// Brightness falls all the way from no load to full, so that it reads in grey too; changes of both signs differ in blue
// and red, which colour-blind people tell apart.
TEST(Colours, ReadWithoutHue) {
  const auto channel = [](const std::string& colour, size_t which) {
    return double(std::stoi(colour.substr(1 + 2 * which, 2), nullptr, 16));
  };
  const auto brightness = [&](const std::string& c) {
    return 0.2126 * channel(c, 0) + 0.7152 * channel(c, 1) + 0.0722 * channel(c, 2);
  };
  for (int step = 0; step < 20; ++step)
    EXPECT_GT(brightness(load_colour(step / 20.0)), brightness(load_colour((step + 1) / 20.0))) << step;
  for (int step = 1; step <= 10; ++step) {
    EXPECT_GT(channel(change_colour(-step / 10.0), 2), channel(change_colour(-step / 10.0), 0));
    EXPECT_GT(channel(change_colour(step / 10.0), 0), channel(change_colour(step / 10.0), 2));
  }
}

TEST(Colours, ScalesEndAtRoundNumbers) {
  EXPECT_DOUBLE_EQ(nice_ceiling(0.646), 0.8);
  EXPECT_DOUBLE_EQ(nice_ceiling(0.1), 0.1);
  EXPECT_DOUBLE_EQ(nice_ceiling(101), 150);
  EXPECT_DOUBLE_EQ(nice_ceiling(0), 1e-4);
}

}  // namespace
}  // namespace moesim
