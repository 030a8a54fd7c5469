#!/usr/bin/env python3
"""Tests of the whole program, from outside: program_test.py MOESIM. Prints one line a test."""
import collections
import csv
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

from program_support import MOESIM, ROOT, expect, main, moesim

TINY = "tests/golden/scenarios/tiny-trace.json"
COMMANDS = ["run", "compare", "place", "check", "list", "schema", "net", "trace", "topology", "calibrate", "validate",
            "completion", "man"]


def every_command_has_help_with_an_example():
    overview = moesim("--help").stdout
    for command in COMMANDS:
        help_text = moesim(command, "--help")
        expect(help_text.returncode == 0 and f"moesim {command}" in help_text.stdout.split("examples:")[1] or
               command == "completion", f"{command}: {help_text}")
        expect(f"  {command} " in overview, command)


def calibrate_makes_the_committed_profile_of_the_committed_measurements():
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "profile.json"
        done = moesim("calibrate", "tests/golden/calibration/raw.json", "-o", str(profile), "--format", "json")
        expect(done.returncode == 0 and done.stderr == "", done.stderr)
        golden = ROOT / "tests/golden/calibration"
        expect(profile.read_text() == (golden / "profile.json").read_text(), "profile.json")
        expect(done.stdout == (golden / "errors.json").read_text(), "errors.json")


def validate_says_the_same_as_text_json_csv_and_picture():
    with tempfile.TemporaryDirectory() as folder:
        plot, records = pathlib.Path(folder) / "plot.svg", pathlib.Path(folder) / "records.csv"
        given = ["validate", "tests/golden/calibration/raw.json", "--profile", "tests/golden/calibration/profile.json"]
        done = moesim(*given, "--format", "json", "--plot", str(plot), "--records", str(records))
        expect(done.returncode == 0 and done.stderr == "", done.stderr)
        rows = json.loads(done.stdout)["errors"]
        expect(all(list(row) == ["kind", "phase", "size", "n", "dropped", "median", "p90", "worst", "bias"]
                   for row in rows), rows)
        layers = {row["phase"]: row for row in rows if row["kind"] == "moe_layer"}
        expect(set(layers) == {"gate", "permute", "dispatch", "regr", "experts", "unregr", "combine", "unpermute",
                               "layer"}, layers)
        expect(layers["dispatch"]["n"] == 0 and layers["dispatch"]["dropped"] == layers["layer"]["n"], layers)
        with open(records, newline="") as file:
            table = list(csv.DictReader(file))
        expect(len(table) == sum(row["n"] + row["dropped"] for row in rows), len(table))
        errors = sorted(abs(float(row["error"])) for row in table if row["kind"] == "moe_layer" and
                        row["phase"] == "layer")
        expect(abs(errors[-1] - layers["layer"]["worst"]) < 2e-6, (errors, layers["layer"]))
        xml.etree.ElementTree.parse(plot)
        text = moesim(*given).stdout.splitlines()
        expect(len([line for line in text if "%" in line or " - " in line]) >= len(rows), text)
        expect(text[-1].startswith("dropped: ") and "on one GPU nothing travels" in text[-1], text[-1])


def validate_scales_the_profile_to_the_gpu_of_the_file():
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder) / "h200.json"
        other.write_text((ROOT / "tests/golden/calibration/raw.json").read_text().replace("H100 80GB HBM3", "H200"))
        given = ["validate", str(other), "--profile", "tests/golden/calibration/profile.json", "--format", "json"]
        scaled, as_h100 = moesim(*given), moesim(*given, "--gpu", "h100-sxm-80")
        expect(scaled.returncode == 0 and "scaled from h100-sxm-80 to h200-sxm-141" in scaled.stderr, scaled.stderr)
        expect(as_h100.returncode == 0 and as_h100.stderr == "", as_h100.stderr)

        def bias(done, kind):
            return next(row["bias"] for row in json.loads(done.stdout)["errors"] if row["kind"] == kind)
        # An H200 has 1.43 times the memory bandwidth, so it is predicted to take less.
        expect(bias(scaled, "grouped_gemm_bf16") < bias(as_h100, "grouped_gemm_bf16"), (scaled, as_h100))


def calibrate_refuses_bad_files_and_writes_nothing():
    with tempfile.TemporaryDirectory() as folder:
        raw = (ROOT / "tests/golden/calibration/raw.json").read_text()
        bad = {"truncated": raw[:len(raw) // 2], "foreign": "[1, 2, 3]",
               "milliseconds": re.sub(r'"us": (\d+)\.', r'"us": 0.0\1', raw)}
        out = pathlib.Path(folder) / "profile.json"
        for name, text in bad.items():
            path = pathlib.Path(folder) / f"{name}.json"
            path.write_text(text)
            done = moesim("calibrate", str(path), "-o", str(out))
            expect(done.returncode == 2 and name in done.stderr and not out.exists(), (name, done))


def calibrate_scales_a_profile_by_data_sheets():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "h200.json"
        done = moesim("calibrate", "tests/golden/calibration/raw.json", "-o", str(out), "--hold-out", "every=4",
                      "--scale-to", "h200-sxm-141")
        expect(done.returncode == 0, done.stderr)
        profile = json.loads(out.read_text())
        expect((profile["gpu"], profile["scaled_from"]) == ("h200-sxm-141", "h100-sxm-80/pytorch"), profile)


def a_run_leaves_files_that_say_the_same():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "a" / "b"
        done = moesim("run", TINY, "--out", str(out), "--format", "json")
        expect(done.returncode == 0 and done.stderr == "", done.stderr)
        names = sorted(path.name for path in out.iterdir())
        expect(names == ["fabric.svg", "gpu_pairs.csv", "gpu_pairs.svg", "gpus.csv", "layers.csv", "link_use.csv", "links.csv",
                         "results.json", "scenario.json", "steps.csv", "timeline.json"], names)
        results = json.loads(done.stdout)
        expect(results == json.loads((out / "results.json").read_text()), "stdout and results.json differ")
        for table, rows in (("gpus", results["gpu_list"]), ("layers", results["layers"]), ("links", results["links"]),
                            ("steps", results["steps"])):
            with open(out / f"{table}.csv", newline="") as file:
                expect(len(list(csv.DictReader(file))) == len(rows), table)
        for picture in out.glob("*.svg"):
            xml.etree.ElementTree.parse(picture)
        with open(out / "gpu_pairs.csv", newline="") as file:
            expect(sum(int(row["bytes"]) for row in csv.DictReader(file)) == results["bytes_sent"], "gpu_pairs.csv")
        with open(out / "link_use.csv", newline="") as file:
            carried = collections.Counter()
            for row in csv.DictReader(file):
                carried[row["link"]] += float(row["bytes"])
        for link in results["links"]:
            expect(abs(carried[link["link"]] - link["bytes"]) < 1e-6 * link["bytes"], link)
        slices = [e for e in json.loads((out / "timeline.json").read_text())["traceEvents"] if e["ph"] == "X"]
        expect(max(e["ts"] + e["dur"] for e in slices) <= sum(s["time_s"] for s in results["steps"]) * 1e6 + 1e-3, "timeline")
        again = moesim("run", str(out / "scenario.json"), "--set", f"/routing/trace={ROOT}/traces/samples/moe64k8-sample.h5",
                       "--format", "json")
        expect(json.loads(again.stdout)["digest"] == results["digest"], "the resolved scenario runs differently")


def a_comparison_leaves_pictures_of_the_difference():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        done = moesim("compare", TINY, "--vary", "/placement=contiguous,greedy", "--out", str(out / "same"))
        expect(done.returncode == 0, done.stderr)
        for name in ("fabric-compare.svg", "gpu-pairs-compare.svg", "variant-1/fabric.svg", "variant-1/gpu_pairs.svg"):
            xml.etree.ElementTree.parse(out / "same" / name)
        done = moesim("compare", TINY, "--vary", "/cluster/nodes=2,4", "--out", str(out / "other"))
        expect(done.returncode == 0 and not (out / "other" / "fabric-compare.svg").exists(), "fabrics differ")


def place_answers_bare_problems():
    problem = json.loads((ROOT / "tests/data/placement_problem.json").read_text())
    done = moesim("place", "--problem", "tests/data/placement_problem.json", "--policy", '{"policy": "greedy"}', "--format", "json")
    answer = json.loads(done.stdout)
    expect(done.returncode == 0 and [c["name"] for c in answer["cases"]] == ["even", "hot"], done)
    for case, asked in zip(answer["cases"], problem["cases"]):
        expect(case["weights"] == asked["weights"] and len(case["physical_to_logical"][0]) == asked["replicas"], case)
        for loads, weights in zip(case["gpu_loads"], case["weights"]):
            expect(abs(sum(loads) - sum(weights)) < 1e-9 and len(loads) == asked["gpus"], case)
    with tempfile.TemporaryDirectory() as folder:
        bad = pathlib.Path(folder) / "bad.json"
        bad.write_text('{"cases": [{"weights": [[1, 2, 3]], "replicas": 2, "gpus": 2}, {"weights": [[-1]], "replicas": 1, "gpus": 1}]}')
        done = moesim("place", "--problem", str(bad), "--policy", "greedy")
        expect(done.returncode == 2 and done.stdout == "" and "/cases/0/replicas" in done.stderr and "/cases/1/weights" in done.stderr,
               done)
    for arguments in (["--policy", "gredy"], [], ["--policy", "greedy", "--against", "random"]):
        done = moesim("place", "--problem", "tests/data/placement_problem.json", *arguments)
        expect(done.returncode == 2 and done.stdout == "", done)
    expect(moesim("place").returncode == 2, "no scenario")


def place_judges_on_unseen_tokens_and_writes_what_engines_load():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        exports = [word for name in ("sglang", "vllm", "trtllm", "csv") for word in ("--export", name, str(out / name))]
        arguments = ["place", TINY, "--policy", "greedy", "--against", "contiguous,random", "--format", "json", "-o", f"{out}/"]
        done = moesim(*arguments, *exports)
        expect(done.returncode == 0 and done.stderr == "", done)
        report = json.loads(done.stdout)
        expect(report == json.loads((out / "report.json").read_text()), "report.json")
        expect([p["policy"] for p in report["policies"]] == ["greedy", "contiguous", "random"], report["policies"])
        expect(report["judged_on"]["first_token"] == report["trained_on"]["tokens"] > 0 and report["judged_apart"], report)
        for name in ("fabric-compare.svg", "gpu-pairs-compare.svg", "fabric.svg", "gpu_pairs.svg"):
            xml.etree.ElementTree.parse(out / name)
        with open(out / "layers.csv", newline="") as file:
            expect(len(list(csv.DictReader(file))) == 16 * 5, "layers.csv")
        again = moesim(*arguments, "--threads", "1")
        expect(again.stdout == done.stdout, "threads change the report")
        greedy = report["policies"][0]
        for name in ("sglang", "vllm", "trtllm", "csv"):
            source = (out / name).rename(out / f"map.{'json' if name in ('sglang', 'vllm') else name}")
            back = moesim("place", TINY, "--import", name, str(source), "--against", "none", "--format", "json")
            expect(back.returncode == 0, back)
            same = json.loads(back.stdout)["policies"][0]
            expect(same["step_time_s"] == greedy["step_time_s"] and same["load_max_over_mean"] == greedy["load_max_over_mean"], name)
        file = json.dumps({"policy": "file", "path": str(out / "placement.json")})
        run = json.loads(moesim("run", TINY, "--set", f"/placement={file}", "--format", "json").stdout)
        expect(run["step_time_s"] == greedy["step_time_s"], "the placement file runs differently")
        counts = moesim("place", TINY, "--import", "sglang", "tests/data/sglang/logical_count.json", "--policy", "greedy")
        expect(counts.returncode == 2 and "has 4 experts" in counts.stderr, counts)


def policies_vary_by_name():
    done = moesim("compare", TINY, "--vary", "/placement/policy=contiguous,greedy", "--format", "json")
    expect(done.returncode == 0 and len(json.loads(done.stdout)["variants"]) == 2, done)


def the_work_set_has_its_known_answers():
    known = {("a2a", "1"): (348.030, 348.030), ("a2a", "2"): (625.903, 625.903), ("zipf", "1"): (4457.108, 4457.034),
             ("zipf", "2:1"): (4457.108, 4441.268), ("rnd", "1"): (365.246820, 356.595)}
    for (workload, oversubscription), (makespan_us, p99_us) in known.items():
        done = moesim("net", "--workload", workload, "--hosts", "64", "--oversubscription", oversubscription, "--format", "json")
        answer = json.loads(done.stdout)
        expect(abs(answer["makespan_s"] * 1e6 - makespan_us) < 1e-3 and abs(answer["p99_s"] * 1e6 - p99_us) < 1e-3, answer)
        expect(0 < answer["p50_s"] <= answer["p99_s"] and answer["events"] > 0 and answer["solves"] > 0, answer)


def net_writes_tables_and_keeps_host_time_out_of_results():
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["net", "--workload", "stream", "--flows", "500", "--format", "json"]
        plain, full = moesim(*arguments), moesim(*arguments, "--stats", "--out", folder)
        expect(plain.stdout == full.stdout and "CPU" in full.stderr and "peak memory" in full.stderr, full.stderr)
        tables = {}
        for name in ("links", "link_use", "flows"):
            with open(pathlib.Path(folder) / f"{name}.csv", newline="") as file:
                tables[name] = list(csv.DictReader(file))
        expect(len(tables["flows"]) == 500, "flows.csv")
        expect(max(float(row["finish_s"]) for row in tables["flows"]) == json.loads(plain.stdout)["makespan_s"], "makespan")
        over_time = collections.Counter()
        for row in tables["link_use"]:
            over_time[row["link"]] += float(row["bytes"])
        for row in tables["links"]:
            expect(abs(over_time[row["link"]] - int(row["bytes"])) < 1e-6 * int(row["bytes"]), row)


def what_is_written_follows_the_schemas():
    try:
        import jsonschema
    except ImportError:
        return "skipped: python3-jsonschema is not installed"
    scenario_schema = json.loads(moesim("schema", "scenario").stdout)
    for file in [*ROOT.glob("docs/scenarios/*.json"), *ROOT.glob("tests/golden/scenarios/*.json")]:
        jsonschema.validate(json.loads(file.read_text()), scenario_schema)
        jsonschema.validate(json.loads(moesim("check", str(file), "--resolved").stdout), scenario_schema)
    results = json.loads(moesim("run", TINY, "--format", "json").stdout)
    jsonschema.validate(results, json.loads(moesim("schema", "results").stdout))


def threads_change_no_byte():
    runs = [moesim("compare", TINY, "--vary", "/placement=contiguous,random,greedy", "--threads", threads, "--format", "json")
            for threads in ("1", "2")]
    expect(runs[0].stdout == runs[1].stdout and runs[0].returncode == 0, "they differ")


def a_pipe_sees_no_progress():
    expect(moesim("run", "docs/scenarios/quickstart-decode.json").stderr == "", "stderr is not empty")


def host_time_goes_to_stderr_only():
    plain, with_stats = moesim("run", TINY), moesim("run", TINY, "--stats")
    expect(plain.stdout == with_stats.stdout and "peak memory" in with_stats.stderr, with_stats.stderr)


def ctrl_c_ends_cleanly_with_what_is_complete():
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([MOESIM, "run", TINY, "--set", "/steps=100000", "--out", folder], cwd=ROOT, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        expect(process.returncode == 130 and "INCOMPLETE" in out, (process.returncode, out, error))
        results = json.loads((pathlib.Path(folder) / "results.json").read_text())
        expect(results["complete"] is False and len(results["steps"]) > 0, results["complete"])


def an_interrupted_integer_program_says_the_best_so_far():
    with tempfile.TemporaryDirectory() as folder:
        problem, out = pathlib.Path(folder) / "problem.json", pathlib.Path(folder) / "answer.json"
        weights = [[1000 + 37 * expert * (layer + 3) % 911 for expert in range(40)] for layer in range(4)]
        problem.write_text(json.dumps({"cases": [{"name": "hard", "weights": weights, "replicas": 54, "gpus": 9}]}))
        policy = {"policy": "ilp_balance", "columns_max": 100000, "node_limit": 1000000000, "gap": "0%"}
        process = subprocess.Popen([MOESIM, "place", "--problem", str(problem), "--policy", json.dumps(policy), "-o", str(out)],
                                   cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1.5)
        expect(process.poll() is None, "it ended before it was stopped")
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        text, error = process.communicate(timeout=60)
        expect(time.monotonic() - begin < 10, "it went on")
        expect(process.returncode == 130 and "INCOMPLETE" in error and "the best so far" in text and "hard" in text,
               (process.returncode, text, error))
        expect(os.listdir(folder) == ["problem.json"], os.listdir(folder))


def a_mistyped_format_is_one_fault():
    done = moesim("place", TINY, "--policy", "greedy", "--export", "sglangg", "out/x.json")
    expect(done.returncode == 2 and done.stdout == "" and done.stderr.count("unknown format") == 1 and
           "out/x.json" not in done.stderr, done)
    done = moesim("place", TINY, "--policy", "greedy", "--export", "csv", "a.csv", "--export", "sglangg", "b.json")
    expect(done.returncode == 2 and done.stderr.count("unknown format") == 1 and "too many" not in done.stderr, done)


def bad_input_leaves_no_file():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        done = moesim("run", TINY, "--set", "/placement=gredy", "--out", str(out))
        expect(done.returncode == 2 and done.stdout == "" and not out.exists(), done)
        done = moesim("run", TINY, "--out", str(ROOT / "README.md"))
        expect(done.returncode == 2 and done.stdout == "", done)


def a_file_of_two_gigabytes_is_refused_at_once():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "huge.json"
        with open(path, "wb") as file:
            file.truncate(2 << 30)
        begin = time.monotonic()
        done = moesim("check", str(path))
        expect(done.returncode == 2 and time.monotonic() - begin < 5, done)


def the_catalogue_loads_whole():
    for kind in json.loads(moesim("list", "--format", "json").stdout):
        listed = moesim("list", kind, "--format", "json")
        expect(listed.returncode == 0 and len(json.loads(listed.stdout)) > 0, listed)


def completion_scripts_are_shell():
    script = moesim("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", script + '\nCOMP_WORDS=(moesim com) COMP_CWORD=1; _moesim; echo "${COMPREPLY[*]}"'],
                          text=True, capture_output=True)
    expect(done.stdout.split() == ["compare", "completion"], done)


if __name__ == "__main__":
    sys.exit(main(globals()))
