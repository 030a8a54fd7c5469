#!/usr/bin/env python3
"""Tests of the whole program, from outside: program_test.py MOESIM. Prints one line a test."""
import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOESIM = sys.argv[1]
TINY = "tests/golden/scenarios/tiny-trace.json"
COMMANDS = ["run", "compare", "check", "list", "schema", "net", "trace", "topology", "completion", "man"]


def moesim(*arguments, **options):
    return subprocess.run([MOESIM, *arguments], cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=300, **options)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def every_command_has_help_with_an_example():
    overview = moesim("--help").stdout
    for command in COMMANDS:
        help_text = moesim(command, "--help")
        expect(help_text.returncode == 0 and f"moesim {command}" in help_text.stdout.split("examples:")[1] or
               command == "completion", f"{command}: {help_text}")
        expect(f"  {command} " in overview, command)


def a_run_leaves_files_that_say_the_same():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "a" / "b"
        done = moesim("run", TINY, "--out", str(out), "--format", "json")
        expect(done.returncode == 0 and done.stderr == "", done.stderr)
        names = sorted(path.name for path in out.iterdir())
        expect(names == ["gpus.csv", "layers.csv", "links.csv", "results.json", "scenario.json", "timeline.json"], names)
        results = json.loads(done.stdout)
        expect(results == json.loads((out / "results.json").read_text()), "stdout and results.json differ")
        for table, rows in (("gpus", results["gpu_list"]), ("layers", results["layers"]), ("links", results["links"])):
            with open(out / f"{table}.csv", newline="") as file:
                expect(len(list(csv.DictReader(file))) == len(rows), table)
        slices = [e for e in json.loads((out / "timeline.json").read_text())["traceEvents"] if e["ph"] == "X"]
        expect(max(e["ts"] + e["dur"] for e in slices) <= sum(s["time_s"] for s in results["steps"]) * 1e6 + 1e-3, "timeline")
        again = moesim("run", str(out / "scenario.json"), "--set", f"/routing/trace={ROOT}/traces/samples/moe64k8-sample.h5",
                       "--format", "json")
        expect(json.loads(again.stdout)["digest"] == results["digest"], "the resolved scenario runs differently")


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


def main():
    failed = 0
    tests = [value for name, value in globals().items()
             if callable(value) and getattr(value, "__module__", "") == "__main__" and name not in ("moesim", "expect", "main")]
    for test in tests:
        try:
            print(f"{test() or 'ok':8} {test.__name__}", flush=True)
        except Exception as error:  # one failure does not hide the others
            failed += 1
            print(f"FAILED   {test.__name__}: {str(error)[:2000]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    sys.exit(main())
