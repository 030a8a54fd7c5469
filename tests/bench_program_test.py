#!/usr/bin/env python3
"""moesim-bench from outside, on a machine whose GPUs are hidden: bench_program_test.py MOESIM-BENCH"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = None
# CUDA sees no device. A sanitizer's shadow may lie where CUDA wants its own; leaks of libraries are not ours.
ENVIRONMENT = dict(os.environ, CUDA_VISIBLE_DEVICES="", ASAN_OPTIONS="protect_shadow_gap=0:detect_leaks=0")


def run(*arguments, folder=None):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env=ENVIRONMENT, cwd=folder, timeout=120)


class MoesimBench(unittest.TestCase):
    def test_help_explains_and_gives_examples(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--suites", "--budget", "Examples:", "Exit status"):
            self.assertIn(word, done.stdout)

    def test_the_suites_are_listed(self):
        done = run("--list")
        self.assertEqual(done.returncode, 0)
        names = [line.split()[0] for line in done.stdout.splitlines()]
        self.assertIn("gemm", names)
        self.assertIn("moe_layer", names)

    def test_without_a_gpu_it_says_so_and_leaves_no_file(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run(folder=folder)
            self.assertEqual(done.returncode, 2)
            self.assertIn("no GPU", done.stderr)
            self.assertEqual(os.listdir(folder), [])

    def test_wrong_arguments_are_named(self):
        for arguments, word in ((["--suites", "gem"], "gem"), (["--budget", "0"], "--budget"), (["--x"], "--x")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(word, done.stderr)

    def test_the_cpu_is_measured_without_a_gpu(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "cpu.json"
            done = run("--suites", "cpu", "--budget", "0.5", "--out", str(file))
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(file.read_text())
            self.assertEqual((result["format"], result["format_version"]), ("moesim-bench", 1))
            self.assertTrue(result["finished"])
            self.assertGreater(len(result["checks"]), 0)
            for check in result["checks"]:
                self.assertLessEqual(check["error"], check["bound"])
            self.assertEqual(os.listdir(folder), ["cpu.json"])

    def test_a_signal_ends_it_with_what_was_measured(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "cpu.json"
                running = subprocess.Popen([PROGRAM, "--suites", "cpu", "--out", str(file)], env=ENVIRONMENT,
                                           stderr=subprocess.DEVNULL)
                while not Path(str(file) + ".partial").exists():
                    time.sleep(0.01)
                running.send_signal(number)
                self.assertEqual(running.wait(timeout=60), 130)
                self.assertFalse(json.loads(file.read_text())["finished"])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
