#!/usr/bin/env python3
"""Tests of `moesim trace`, from outside: program_trace_test.py MOESIM. Prints one line a test."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

from program_support import MOESIM, ROOT, expect, main, moesim

SAMPLE = "traces/samples/moe64k8-sample.h5"


def trace_stats_are_text_json_picture_and_page_with_the_same_bytes_each_time():
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for name in "ab":
            svg, html = pathlib.Path(folder) / f"{name}.svg", pathlib.Path(folder) / f"{name}.html"
            done = moesim("trace", "stats", SAMPLE, "--format", "json", "--svg", str(svg), "--html", str(html))
            expect(done.returncode == 0 and done.stderr == "", done.stderr)
            runs.append((done.stdout, svg.read_text(), html.read_text()))
        expect(runs[0] == runs[1], "bytes differ")
        stats, svg, html = runs[0]
        expect(len(json.loads(stats)["by_layer"]) == 16, stats[:200])
        xml.etree.ElementTree.fromstring(svg)
        expect("http" not in html.replace("http://www.w3.org/2000/svg", "") and "<script" not in html, "loads something")
    text = moesim("trace", "stats", SAMPLE).stdout
    expect("drift%" in text and "python" in text, text)


def trace_slices_merge_into_the_trace_again():
    with tempfile.TemporaryDirectory() as folder:
        part = [f"{folder}/{name}" for name in ("first.h5", "second.h5", "both.h5", "same.h5", "both.npz", "back.h5")]
        expect(moesim("trace", "slice", SAMPLE, "--requests", "0-39", "-o", part[0]).returncode == 0, "first")
        expect(moesim("trace", "slice", SAMPLE, "--tokens", "20480-40959", "-o", part[1]).returncode == 0, "second")
        for out in part[2], part[3]:
            done = moesim("trace", "merge", part[0], part[1], "-o", out)
            expect(done.stdout == f"{out}: 40960 tokens of 2 traces\n", done)
        expect(pathlib.Path(part[2]).read_bytes() == pathlib.Path(part[3]).read_bytes(), "bytes differ")
        whole, merged = (json.loads(moesim("trace", "stats", path, "--format", "json").stdout) for path in (SAMPLE, part[2]))
        expect(whole["by_layer"] == merged["by_layer"], "layers")
        for source, out in (part[2], part[4]), (part[4], part[5]):
            expect(moesim("trace", "convert", source, "-o", out).returncode == 0, out)
        back = json.loads(moesim("trace", "stats", part[5], "--format", "json").stdout)
        expect(back["by_layer"] == whole["by_layer"], "layers after .npz")


def trace_transform_counts_what_became_of_choices():
    with tempfile.TemporaryDirectory() as folder:
        out, again = f"{folder}/out.h5", f"{folder}/again.h5"
        done = moesim("trace", "transform", SAMPLE, "--set", "/capacity_factor=1", "--format", "json", "-o", out)
        counts = json.loads(done.stdout)
        expect(counts["rows"] == 40960 * 16 and counts["selected"] == counts["baseline"] == 8 * counts["rows"], counts)
        expect(counts["selected"] == counts["computed"] + counts["dropped"] and counts["dropped"] > 0, counts)
        expect(moesim("trace", "info", out).returncode == 0, "info")

        refused = moesim("trace", "transform", SAMPLE, "--routing", "top_p", "-o", again)
        expect(refused.returncode == 2 and "has no gate scores" in refused.stderr, refused)
        expect(not pathlib.Path(again).exists(), "written all the same")
        made_up = ("trace", "transform", SAMPLE, "--routing", "top_p", "--set", "/scores=synthetic", "--seed", "3", "-o")
        expect("made up" in moesim(*made_up, out).stdout, "no label")
        moesim(*made_up, again)
        expect(pathlib.Path(out).read_bytes() == pathlib.Path(again).read_bytes(), "bytes differ")
        misspelt = moesim("trace", "transform", SAMPLE, "--routing", "{\"selektion\": \"top_p\"}", "-o", again)
        expect(misspelt.returncode == 2 and "did you mean \"selection\"" in misspelt.stderr, misspelt)


def synthetic_traces_and_requests_have_the_shape_asked_for_and_the_same_bytes_each_time():
    with tempfile.TemporaryDirectory() as folder:
        made = [pathlib.Path(folder) / name for name in ("a.h5", "b.h5", "a.csv", "b.csv")]
        for out in made[:2]:
            done = moesim("trace", "synth", "--preset", "mixtral-8x7b", "--jump", "0.1", "--tokens", "5000", "--experts", "12",
                          "--top-k", "3", "--layers", "40", "-o", str(out))
            expect(done.stdout.endswith(f"{out}: 5000 tokens, 40 layers, top-3 of 12 experts\n"), done)
        for out in made[2:]:
            done = moesim("trace", "arrivals", "--count", "50", "--documents", SAMPLE, "-o", str(out))
            expect(done.returncode == 0 and done.stdout.startswith("50 requests in "), done)
        for one, other in made[:2], made[2:]:
            expect(one.read_bytes() == other.read_bytes(), f"{one} and {other} differ")
        for wrong in (("synth", "--like", SAMPLE), ("synth", "--preset", "olmo", "-o", str(made[0])),
                      ("arrivals", "--process", "markov", "--burst-rate", "50"), ("arrivals", SAMPLE)):
            done = moesim("trace", *wrong)
            expect(done.returncode == 2 and done.stdout == "", done)


def trace_stops_at_ctrl_c_and_leaves_nothing():
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([MOESIM, "trace", "merge", *[SAMPLE] * 60, "-o", f"{folder}/many.h5"], cwd=ROOT,
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not os.listdir(folder):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        expect(process.returncode == 130 and "nothing was written" in error, (process.returncode, out, error))
        expect(os.listdir(folder) == [], os.listdir(folder))


# 40 experts with copies on 9 GPUs, four layers: no search tree proves the last tenth of a percent.


if __name__ == "__main__":
    sys.exit(main(globals()))
