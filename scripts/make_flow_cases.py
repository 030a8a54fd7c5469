#!/usr/bin/env python3
"""Makes flow files with answers of an independent simulator: make_flow_cases.py [BUILD] [FOLDER]

Draws small networks and flows, lets SimGrid find when each flow is done (BUILD/tests/moesim_bench_simgrid, which is
built where SimGrid is installed), checks that against progressive filling in 40 decimal digits, and writes files of
format moe-flow-oracle-1 into FOLDER, tests/golden/flows unless said. The same script makes the same files.
"""
import decimal
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ("Unweighted max-min fair fluid flows over directed links. A flow uses no bandwidth until start + the latencies of its path; "
         "from then on it shares every link of its path until its last byte leaves, which is its finish. Seconds, bytes, bytes/s.")
SOLVER = ("SimGrid 3.32, S4U Comm::sendto_async, network/model:CM02, network/TCP-gamma:0, network/crosstraffic:0, "
          "network/optim:Full, network/maxmin-selective-update:no, surf/precision:1e-12; see tests/bench/simgrid_bench.cpp")


class Random:
    """splitmix64."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    def below(self, bound):
        return self.next() % bound

    def size(self, low, high):
        """Between two powers of two, each power as likely as the other."""
        power = low + self.below(high - low)
        return 2**power + self.below(2**power)


class Network:
    def __init__(self):
        self.links, self.flows, self.by_name = [], [], {}

    def link(self, name, capacity, latency_ns):
        self.by_name[name] = len(self.links)
        self.links.append({"id": len(self.links), "name": name, "capacity": capacity, "latency": latency_ns * 1e-9})

    def both(self, a, b, capacity, latency_ns):
        self.link(f"{a}->{b}", capacity, latency_ns)
        self.link(f"{b}->{a}", capacity, latency_ns)

    def flow(self, stops, size, start_ns):
        path = [self.by_name[f"{a}->{b}"] for a, b in zip(stops, stops[1:])]
        self.flows.append({"id": len(self.flows), "path": path, "bytes": size, "start": start_ns * 1e-9})


def random_starts():
    """16 hosts under 4 leaves and 4 spines, non-blocking; bursts of flows at one start, one burst a while."""
    random, net = Random(1), Network()
    for host in range(16):
        net.both(f"h{host}", f"leaf{host // 4}", 50e9, 500)
    for leaf in range(4):
        for spine in range(4):
            net.both(f"leaf{leaf}", f"spine{spine}", 50e9, 500)
    start = 0
    for _ in range(18):
        for _ in range(1 + random.below(14)):
            a, b = random.below(16), random.below(15)
            b += b >= a
            middle = [] if a // 4 == b // 4 else [f"spine{random.below(4)}", f"leaf{b // 4}"]
            net.flow([f"h{a}", f"leaf{a // 4}", *middle, f"h{b}"], random.size(10, 22), start)
        start += random.below(40_000)
    return "ls16_bursts", "leaf-spine, 16 hosts, 4 leaves, 4 spines; bursts of flows of random sizes", net


def fat_tree():
    """A fat tree of 4-port switches: 16 hosts, 8 edge, 8 aggregation and 4 core switches; up to 6 links a path."""
    random, net = Random(2), Network()
    for host in range(16):
        net.both(f"h{host}", f"edge{host // 2}", 25e9, 300)
    for pod in range(4):
        for edge in range(2):
            for aggregation in range(2):
                net.both(f"edge{2 * pod + edge}", f"agg{2 * pod + aggregation}", 25e9, 400)
        for aggregation in range(2):
            for core in range(2):
                net.both(f"agg{2 * pod + aggregation}", f"core{2 * aggregation + core}", 25e9, 700)
    start = 0
    for _ in range(140):
        a, b = random.below(16), random.below(15)
        b += b >= a
        stops = [f"h{a}", f"edge{a // 2}"]
        if a // 2 != b // 2:
            lane = random.below(2)
            stops.append(f"agg{2 * (a // 4) + lane}")
            if a // 4 != b // 4:
                stops += [f"core{2 * lane + random.below(2)}", f"agg{2 * (b // 4) + lane}"]
            stops.append(f"edge{b // 2}")
        net.flow([*stops, f"h{b}"], random.size(12, 24), start)
        start += random.below(9_000)
    return "fat_tree_4", "fat tree of 4-port switches, 16 hosts; random sizes, staggered starts", net


def islands():
    """Three islands of 6 hosts at 100, 200 and 400 Gb/s, each under one switch, joined by slow long links."""
    random, net = Random(3), Network()
    rates = [12.5e9, 25e9, 50e9]
    for host in range(18):
        net.both(f"h{host}", f"switch{host // 6}", rates[host // 6], 600)
    for a, b, capacity, latency_ns in ((0, 1, 20e9, 20_000), (1, 2, 60e9, 5_000), (0, 2, 7e9, 90_000)):
        net.both(f"switch{a}", f"switch{b}", capacity, latency_ns)
    start = 0
    for _ in range(130):
        a, b = random.below(18), random.below(17)
        b += b >= a
        middle = [f"switch{a // 6}"] if a // 6 == b // 6 else [f"switch{a // 6}", f"switch{b // 6}"]
        net.flow([f"h{a}", *middle, f"h{b}"], random.size(8, 24), start)
        start += random.below(2) * random.below(15_000)
    return "islands_3_rates", "three islands of different link rates over slow links; random sizes and starts", net


def progressive_filling(net):
    """When each flow is done, all rates from the ground at every change."""
    exact = decimal.Decimal
    decimal.getcontext().prec = 40
    capacity = [exact(link["capacity"]) for link in net.links]
    enters = [exact(f["start"]) + sum(exact(net.links[l]["latency"]) for l in f["path"]) for f in net.flows]
    left = [exact(f["bytes"]) for f in net.flows]
    waiting = sorted(range(len(net.flows)), key=lambda flow: enters[flow], reverse=True)
    finish, live, now = [None] * len(net.flows), set(), exact(0)
    while waiting or live:
        rates = fair_rates(net, capacity, live)
        until = min([now + left[flow] / rates[flow] for flow in live] + ([enters[waiting[-1]]] if waiting else []))
        for flow in live:
            left[flow] -= rates[flow] * (until - now)
        now = until
        for flow in [flow for flow in live if left[flow] < exact("1e-20")]:
            finish[flow] = now
            live.discard(flow)
        while waiting and enters[waiting[-1]] <= now:
            live.add(waiting.pop())
    return finish


def fair_rates(net, capacity, live):
    room, open_flows, rates = list(capacity), [set() for _ in capacity], {}
    for flow in live:
        for link in net.flows[flow]["path"]:
            open_flows[link].add(flow)
    while len(rates) < len(live):
        level, fullest = min((room[link] / len(flows), link) for link, flows in enumerate(open_flows) if flows)
        for flow in list(open_flows[fullest]):
            rates[flow] = level
            for link in net.flows[flow]["path"]:
                room[link] -= level
                open_flows[link].discard(flow)
    return rates


def write_case(name, description, net, solver, folder):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"format": "moe-flow-oracle-1", "links": net.links, "flows": net.flows}, file)
        file.flush()
        answers = subprocess.run([solver, file.name], check=True, capture_output=True, text=True).stdout.split()
    checked = progressive_filling(net)
    worst = 0.0
    for flow, finish, exact in zip(net.flows, answers[1::2], checked):
        flow["finish"] = float(finish)
        worst = max(worst, abs(float(finish) - float(exact)) / float(exact))
    head = {"format": "moe-flow-oracle-1", "case": name, "description": description, "model": MODEL, "solver": SOLVER,
            "made_by": "scripts/make_flow_cases.py",
            "cross_check": {"method": "progressive filling in 40 decimal digits", "max_rel_diff": float(f"{worst:.3g}")},
            "makespan": max(flow["finish"] for flow in net.flows)}
    rows = lambda records: "[\n" + ",\n".join("  " + json.dumps(record) for record in records) + "\n ]"
    text = json.dumps(head, indent=1)[:-2] + f',\n "links": {rows(net.links)},\n "flows": {rows(net.flows)}\n}}\n'
    (folder / f"{name}.json").write_text(text)
    print(f"{name}: {len(net.flows)} flows, largest difference to progressive filling {worst:.2g} of the finish")
    return worst < 1e-9


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "tests/golden/flows")
    solver = build / "tests/moesim_bench_simgrid"
    if not solver.exists():
        sys.exit(f"{solver} is not there; it is built where SimGrid (libsimgrid-dev) is installed")
    done = [write_case(*case(), solver, folder) for case in (random_starts, fat_tree, islands)]
    sys.exit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
