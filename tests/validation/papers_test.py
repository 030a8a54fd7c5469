#!/usr/bin/env python3
"""scripts/papers.py: its files, made routing, imported counts, figures and verdicts. No row of the table is run here."""

import json
import random
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from paper_results import figures, fit, made_routing, paper_file, report, training_counts  # noqa: E402

PAPER = {"format_version": 1, "name": "p", "title": "t", "source": "s", "read": "r", "runs": {"a": {"scenario": {}}},
         "rows": [{"id": "x", "claim": "c", "figure": "step(\"a\")", "expect": {"value": 1, "within": 0.1}}]}


class Files(unittest.TestCase):
    def faults(self, **changes):
        faults = []
        paper_file.check_paper(PAPER | changes, faults)
        return faults

    def test_every_committed_file_is_well_formed(self):
        paths = sorted((ROOT / "validation" / "papers").glob("*.json"))
        self.assertTrue(paths)
        for path in paths:
            self.assertEqual(paper_file.read_paper(path)["name"], path.stem)

    def test_all_faults_are_told_at_once(self):
        row = PAPER["rows"][0]
        self.assertEqual(self.faults(), [])
        faults = self.faults(titel=1, rows=[row | {"expect": {"value": 1}}, row], runs={"a": {"like": "b"}})
        self.assertEqual(len(faults), 4, faults)

    def test_a_fit_has_three_constants_at_most_and_no_more_than_rows(self):
        constants = [{"name": n, "value": 1, "how": "", "range": [0, 1]} for n in "abcd"]
        self.assertEqual(len(self.faults(constants=constants, fit={"constants": list("abcd"), "rows": ["x"]})), 2)

    def test_a_run_is_what_it_is_like_with_settings_changed_and_constants_filled_in(self):
        paper = PAPER | {"runs": {"a": {"scenario": {"placement": "greedy", "rate": {"$": "r", "unit": "GB/s"}}},
                                  "b": {"like": "a", "set": {"/placement/checks": 3, "/parallelism/ep": {"$": "r"}}}}}
        self.assertEqual(paper_file.resolved_run(paper, "b", {"r": 4})["scenario"],
                         {"placement": {"policy": "greedy", "checks": 3}, "rate": "4 GB/s", "parallelism": {"ep": 4}})

    def test_a_constant_may_be_taken_several_times(self):
        self.assertEqual(paper_file.fill([{"$": "r", "times": 2, "unit": "GB/s"}, {"$": "r", "times": 0.25}], {"r": 4}),
                         ["8 GB/s", 1.0])


class Expectations(unittest.TestCase):
    def test_each_kind(self):
        self.assertTrue(paper_file.meets({"value": -10, "within": 0.1}, -10.9))
        self.assertFalse(paper_file.meets({"value": -10, "within": 0.1}, -11.1))
        self.assertTrue(paper_file.meets({"value": 0, "by": 0}, 0))
        self.assertTrue(paper_file.meets({"between": [1, 2]}, 2))
        self.assertFalse(paper_file.meets({"above": 1}, 1))
        self.assertTrue(paper_file.meets({"equals": [[1]]}, [[1]]))
        self.assertFalse(paper_file.meets({"value": 1, "within": 9}, float("nan")))


class Figures(unittest.TestCase):
    # Two experts on two GPUs. Of 10 tokens 7 stay with the expert of the same number, on the same GPU in layer 1 but on
    # the other in layer 2, where GPUs have changed: 0.3 + 0.7 crossings.
    def test_crossings_count_changes_of_the_gpu(self):
        case = {"weights": [[5, 5]] * 3, "gpus": 2, "physical_to_logical": [[0, 1], [0, 1], [1, 0]],
                "transitions": [[4, 1, 2, 3], [4, 1, 2, 3]]}
        self.assertAlmostEqual(figures.crossings(case, case["gpus"]), 0.3 + 0.7)

    def test_arithmetic_over_results_and_constants(self):
        calls = figures.functions({"a": {"step_time_s": 2.0, "breakdown": [
            {"operation": "dispatch", "exposed_s": 0.5, "busiest_gpu_s": 1.0}]}}.get)
        self.assertEqual(figures.evaluate('k * (step("a") - exposed("a", "dispatch", "combine")) ** 2', {"k": 2}, calls), 4.5)
        self.assertEqual(figures.evaluate('at("a", "/breakdown/0/busiest_gpu_s")', {}, calls), 1.0)

    def test_nothing_else_is_understood(self):
        for text in ("__import__(\"os\")", "step.__class__", "[1, 2]", "unknown + 1", "1 +", "1 / 0"):
            with self.assertRaises(paper_file.PaperError):
                figures.evaluate(text, {}, figures.functions({}.get))


class MadeRouting(unittest.TestCase):
    def test_shares_are_those_given_and_none_is_above_one_choice_a_token(self):
        shares = made_routing.shares_of([100, 1, 1, 1], 2, {3: 0.2})
        self.assertAlmostEqual(sum(shares), 1)
        self.assertEqual((shares[0], shares[3]), (0.5, 0.2))

    # Systematic sampling: 4,000 tokens of k = 2, an expert with share s is chosen 8,000 s times but for noise below that
    # of independent draws (standard deviation at most 32).
    def test_a_token_has_different_experts_at_their_shares(self):
        shares = [0.4, 0.3, 0.2, 0.1]
        tokens = made_routing.draw_layer(shares, 2, 4000, random.Random(1))
        self.assertTrue(all(len(set(token)) == 2 for token in tokens))
        for expert, share in enumerate(shares):
            self.assertAlmostEqual(sum(expert in token for token in tokens), 8000 * share, delta=160)

    def test_choices_are_at_the_home_of_the_id_as_often_as_asked_for(self):
        spec = {"seed": 1, "tokens": 3000, "layers": 2, "experts": 16, "top_k": 3, "gpus": 4, "ids": 40, "home_part": 0.6}
        trace, ids = made_routing.trace_with_homes(spec)
        choices = [(chosen, token) for layers, token in zip(trace, ids) for layer in layers for chosen in layer]
        at_home = sum(chosen // 4 == token % 4 for chosen, token in choices) / len(choices)
        self.assertAlmostEqual(at_home, 0.6, delta=0.015)  # four deviations of 18,000 draws
        self.assertTrue(all(len(set(layer)) == 3 for layers in trace for layer in layers))

    def test_listed_choices_are_those_of_all_layers_and_the_past_comes_first(self):
        made = made_routing.trace_of_choices({"layers": 2, "past": [3], "read": [0, 2]})
        self.assertEqual(made, [[[3], [3]], [[0], [0]], [[2], [2]]])

    # Without memory a token's best of 4 experts is that of the token before in 1 of 4 cases; with all of it always.
    def test_scores_persist_as_much_as_asked_for(self):
        for memory, expected in ((0.0, 0.25), (1.0, 1.0)):
            trace, gates = made_routing.trace_with_scores({"seed": 1, "tokens": 4000, "layers": 1, "experts": 4, "kept": 3,
                                                           "sigma": 0.0, "memory": memory})
            same = sum(a[0][0] == b[0][0] for a, b in zip(trace, trace[1:])) / 3999
            self.assertAlmostEqual(same, expected, delta=0.03)  # four deviations
            self.assertTrue(all(gate[0] == sorted(gate[0], reverse=True) and sum(gate[0]) <= 1 for gate in gates))

    def test_balanced_affinity_makes_all_experts_equally_popular(self):
        made = made_routing.problem_with_affinity({"affinity": "log_normal", "sigma": 1.0, "experts": 4, "layers": 3,
                                                   "gpus": 2, "tokens": 400000, "seed": 1})
        for counts in made["transitions"]:
            for other in range(4):
                self.assertAlmostEqual(sum(counts[other::4]), 100000, delta=8)


class TrainingCounts(unittest.TestCase):
    COUNTS = [[[[2, 1, 1, 0], [1, 1, 1, 1]]], [[[0, 2, 1, 1], [2, 2, 0, 0]]]]  # [rank][layer][microbatch][expert]

    def artifact(self, folder):
        Path(folder, "moe_trace").mkdir()
        for step in (1, 11, 21):
            for rank, layers in enumerate(self.COUNTS):
                lines = "".join(f"{layer}:{json.dumps(counts)}\n" for layer, counts in enumerate(layers))
                Path(folder, "moe_trace", f"trace_{step}_{rank}.txt").write_text(lines)

    def npz(self, folder):
        flat = [count for _ in range(3) for rank in self.COUNTS for layer in rank for batch in layer for count in batch]
        counts = b"".join(count.to_bytes(2, "little") for count in flat)
        steps = b"".join(step.to_bytes(8, "little") for step in (1, 11, 21))
        with zipfile.ZipFile(Path(folder, "smartmoe_training_counts.npz"), "w") as archive:
            archive.writestr("counts.npy", made_routing.npy("<u2", (3, 2, 1, 2, 4), counts))
            archive.writestr("step.npy", made_routing.npy("<i8", (3,), steps))

    def test_the_artifact_and_the_npz_are_the_same_counts(self):
        for write in (self.artifact, self.npz):
            with tempfile.TemporaryDirectory() as folder:
                write(folder)
                counts = training_counts.read(folder)
                self.assertEqual((counts.steps, counts.ranks, counts.layers, counts.microbatches, counts.experts),
                                 ([1, 11, 21], 2, 1, 2, 4))
                self.assertEqual(list(counts.at(1, 1, 0, 0)), [0, 2, 1, 1])

    def test_tokens_have_two_different_experts_and_add_up_to_the_counts(self):
        rng = random.Random(7)
        for _ in range(200):
            pairs = [rng.sample(range(5), 2) for _ in range(rng.randint(1, 40))]
            counts = [sum(expert in pair for pair in pairs) for expert in range(5)]
            made = training_counts.pairs(counts, rng)
            self.assertTrue(all(a != b for a, b in made))
            self.assertEqual([sum(expert in pair for pair in made) for expert in range(5)], counts)

    def test_a_trace_has_the_training_microbatches_first_and_then_rank_by_rank(self):
        with tempfile.TemporaryDirectory() as folder:
            self.npz(folder)
            made = training_counts.trace(training_counts.read(folder), {"step": 11, "train": 1, "judged": 1})
            loads = [[sum(expert in token[0] for token in made[i:i + 2]) for expert in range(4)] for i in range(0, 8, 2)]
            self.assertEqual(loads, [[2, 1, 1, 0], [0, 2, 1, 1], [1, 1, 1, 1], [2, 2, 0, 0]])

    def test_absent_data_is_no_fault_but_wrong_data_is(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertRaises(paper_file.MissingData, training_counts.read, folder)
            Path(folder, "moe_trace").mkdir()
            Path(folder, "moe_trace", "trace_1_0.txt").write_text("0:[[1, 1\n")
            self.assertRaises(paper_file.PaperError, training_counts.read, folder)


class Report(unittest.TestCase):
    class Answer:
        def __init__(self, value):
            self.value = value

        def figure(self, row):
            if self.value is None:
                raise paper_file.MissingData("needs counts")
            return self.value

    def judged(self, *values, **row):
        return report.judge(PAPER, PAPER["rows"][0] | row, [self.Answer(value) for value in values])

    def test_a_figure_is_the_mean_over_seeds(self):
        row = self.judged(0.8, 1.3)
        self.assertEqual((row.status, row.value, row.spread, row.unexpected), ("meets", 1.05, (0.8, 1.3), False))

    def test_a_miss_needs_a_reason_and_a_reason_a_miss(self):
        self.assertTrue(self.judged(2.0).unexpected)
        self.assertFalse(self.judged(2.0, misses="why").unexpected)
        self.assertTrue(self.judged(1.0, misses="why").unexpected)

    def test_a_skipped_row_keeps_its_line_on_the_page(self):
        page = report.BEGIN + report.HEAD + "| p | c | as it was |\n" + report.END
        self.assertIn("| p | c | as it was |\n", report.generated([PAPER], [self.judged(None)], page))
        self.assertIn("| p | c | 1.0 (within 10 %) | 1.0 | meets |\n", report.generated([PAPER], [self.judged(1.0)], page))


class Program(unittest.TestCase):
    def run_papers(self, *arguments):
        return subprocess.run([sys.executable, str(ROOT / "scripts" / "papers.py"), "no-such-moesim", *arguments],
                              capture_output=True, text=True)

    def test_rows_without_their_data_are_skipped_visibly(self):
        done = self.run_papers("--only", "smartmoe")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("4 skipped", done.stdout)
        self.assertIn("needs smartmoe_training_counts", done.stdout)

    def test_an_unknown_paper_is_an_error(self):
        done = self.run_papers("--only", "moetunr")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("moetuner", done.stderr)


class Fit(unittest.TestCase):
    def test_the_valley_is_found(self):
        self.assertAlmostEqual(fit.least(lambda x: (x - 0.3) ** 2, 0, 1), 0.3, delta=0.01)


if __name__ == "__main__":
    unittest.main()
