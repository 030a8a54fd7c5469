#!/usr/bin/env python3
"""Measures the network on the common work set, beside SimGrid where it is installed, and prints a Markdown table.

usage: scripts/bench_network.py [--build BUILD] [--cases PATTERN] [--tolerance 1%] [--limit SECONDS] [--repeat N] [--csv FILE]

Each program solves a case in a process of its own; times are user + system CPU seconds of the process, the best of
--repeat runs, and include making the flows. An answer that is not the known one is an error. "not in N s" is what did
not end within --limit CPU seconds. --csv writes every row, for scripts/plot_network_growth.py; --growth measures
more sizes for it: 64 to 1,024 hosts, and streams of 1,000 to 1,000,000 flows.
"""
import argparse
import csv
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (workload, hosts, oversubscription): makespan and 99th percentile in microseconds, where they are known.
CASES = {
    ("a2a", 64, 1): (348.030, 348.030), ("a2a", 64, 2): (625.903, 625.903),
    ("zipf", 64, 1): (4457.108, 4457.034), ("zipf", 64, 2): (4457.108, 4441.268),
    ("rnd", 64, 1): (365.246820, 356.595), ("stream", 64, 1): (91177.262, 2060.708),
    ("a2a", 256, 1): (1412.335, 1380.877), ("a2a", 256, 2): None,
    ("zipf", 256, 1): (55885.377, 18629.013), ("zipf", 256, 2): None,
    ("rnd", 256, 1): None, ("rnd", 256, 2): (2703.141880, 2589.609), ("rndz", 256, 1): (56714.995520, 15432.149),
    ("stream", 256, 1): (24255.453, 2220.406), ("stream", 1024, 1): (8028.360, 2050.972),
    ("a2a", 1024, 1): (5769.168, 5653.825), ("a2a", 1024, 2): (11247.978, 11001.562),
    ("zipf", 1024, 1): (731398.124, 66489.443), ("zipf", 1024, 2): (731398.124, 66480.670),
    ("rnd", 1024, 1): None,
}
# More sizes, to see how time grows: all workloads over hosts, and streams of 256 hosts over flows.
GROWTH = [(workload, hosts, oversubscription, None)
          for workload, oversubscription in (("a2a", 1), ("a2a", 2), ("zipf", 1), ("rnd", 1), ("stream", 1))
          for hosts in (64, 128, 256, 512, 1024)] + \
         [("stream", 256, 1, flows) for flows in (1_000, 10_000, 1_000_000)]
COLUMNS = ["simulator", "workload", "hosts", "oversubscription", "tolerance", "flows", "cpu_s", "memory_mb", "solves",
           "makespan_s", "p99_s"]


def measured(command, limit):
    """The process's standard output, CPU seconds and peak memory in MB; None for the output if it took too long."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, cwd=ROOT,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read() if process.returncode == 0 else None
    if process.returncode > 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {process.returncode}")
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def best_of(repeat, command, limit):
    runs = [measured(command, limit)]
    while len(runs) < repeat and runs[-1][0] is not None:
        runs.append(measured(command, limit))
    return min(runs, key=lambda run: run[1])


def check(case, answer, tolerance):
    known = CASES.get(case[:3]) if case[3] is None else None
    if known is None:
        return
    for value, right in zip((answer["makespan_s"], answer["p99_s"]), known):
        if abs(value * 1e6 - right) > max(1e-6, tolerance) * right + 0.5e-3:
            sys.exit(f"wrong answer for {case}: {value * 1e6} us, not {right} us")


def measure(simulator, case, command, arguments, tolerance=0.0):
    workload, hosts, oversubscription, flows = case
    flows = flows or (100_000 if workload == "stream" else hosts * (hosts - 1))
    text, cpu_s, memory_mb = best_of(arguments.repeat, command, arguments.limit)
    row = {"simulator": simulator, "workload": workload, "hosts": hosts, "oversubscription": oversubscription,
           "tolerance": tolerance, "flows": flows}
    if text is None:
        return row
    answer = json.loads(text)
    check(case, answer, tolerance)
    return {**row, "cpu_s": round(cpu_s, 3), "memory_mb": round(memory_mb), "solves": answer.get("solves"),
            "makespan_s": answer["makespan_s"], "p99_s": answer["p99_s"]}


def cell(row, limit):
    if row is None:
        return "-"
    if "cpu_s" not in row:
        return f"not in {limit} s"
    return f"{row['cpu_s']:.2f} s, {row['memory_mb']} MB"


def error_cell(exact, near):
    if near is None or "cpu_s" not in near:
        return ""
    if exact is None or "cpu_s" not in exact:
        return ""
    errors = [abs(near[key] / exact[key] - 1) for key in ("makespan_s", "p99_s")]
    return f" ({100 * errors[0]:.2f} / {100 * errors[1]:.2f} %)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="the build folder")
    parser.add_argument("--cases", default=".*", help="regular expression of workload/hosts/oversubscription[/flows]")
    parser.add_argument("--tolerance", default="1%", help="the tolerance to measure beside the exact solver; none: 0")
    parser.add_argument("--limit", type=int, default=100, help="CPU seconds that a program may take")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--no-simgrid", action="store_true", help="leave SimGrid out, even where it is installed")
    parser.add_argument("--growth", action="store_true", help="measure sizes for a plot of growth instead of the cases")
    parser.add_argument("--csv", help="where to write all rows")
    arguments = parser.parse_args()

    build = ROOT / arguments.build
    simgrid = build / "tests/moesim_bench_simgrid"
    with_simgrid = simgrid.exists() and not arguments.no_simgrid
    tolerance = float(arguments.tolerance.rstrip("%")) / 100
    rows = []
    print(f"| case | flows | moesim, exact | moesim, {arguments.tolerance} (error of makespan / p99) |" +
          (" SimGrid |" if with_simgrid else "") + "\n|---|---|---|---|" + ("---|" if with_simgrid else ""), flush=True)
    for case in GROWTH if arguments.growth else [(*case, None) for case in CASES]:
        name = "/".join(str(part) for part in case if part is not None)
        if not re.fullmatch(arguments.cases, name):
            continue
        workload, hosts, oversubscription, flows = case
        net = [build / "moesim", "net", "--workload", workload, "--hosts", str(hosts),
               "--oversubscription", str(oversubscription), "--format", "json"] + (["--flows", str(flows)] if flows else [])
        exact = measure("moesim", case, net, arguments)
        near = measure("moesim", case, [*net, "--rate-tolerance", arguments.tolerance], arguments, tolerance) if tolerance else None
        other = measure("SimGrid", case, [simgrid, workload, str(hosts), str(oversubscription)], arguments) if with_simgrid and not flows else None
        rows += [row for row in (exact, near, other) if row is not None]
        print(f"| {hosts} {workload} {oversubscription}:1 | {exact['flows']:,} | {cell(exact, arguments.limit)} | "
              f"{cell(near, arguments.limit)}{error_cell(exact, near)} |" +
              (f" {cell(other, arguments.limit)} |" if with_simgrid else ""), flush=True)
    if not with_simgrid:
        print("\nSimGrid is not installed (libsimgrid-dev) or was left out.")
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
