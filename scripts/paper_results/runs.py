"""Runs moesim for a paper: each run once, in a folder of its own for what has to be made first."""

import json
import subprocess
from pathlib import Path

from paper_results import made_routing, training_counts
from paper_results.figures import evaluate, functions
from paper_results.paper_file import MissingData, PaperError, constants_of, fill, resolved_run, seeds_of

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_SECONDS_MAX = 600


def runners_of(moesim, paper, data, folder, constants=None):
    """One for each seed, with the constants as they are or as a fit tries them."""
    constants = constants_of(paper) | (constants or {})
    runners = []
    for seed in seeds_of(paper):
        own = Path(folder) / str(seed)
        own.mkdir()
        runners.append(Runner(moesim, paper, data, own, constants | {"seed": seed}))
    return runners


class Runner:
    """What the runs of one paper answered."""

    def __init__(self, moesim, paper, data, folder, constants):
        self.moesim = str(Path(moesim).resolve())
        self.paper = paper
        self.data = data
        self.folder = folder
        self.constants = constants
        self.answers = {}
        self.traces = {}

    def figure(self, row):
        return evaluate(row["figure"], self.constants, functions(self.answer))

    def answer(self, name):
        if name not in self.answers:
            run = resolved_run(self.paper, name, self.constants)
            self.answers[name] = self.simulated(name, run) if "scenario" in run else self.placed(name, run)
        return self.answers[name]

    def simulated(self, name, run):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(self.with_files(run["scenario"])), encoding="utf-8")
        return self.printed(name, ["run", str(path), "--format", "json"])

    def placed(self, name, run):
        problem = run["problem"]
        case = made_routing.problem_with_affinity(problem["made"]) if "made" in problem else problem
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"cases": [{"name": name} | case]}), encoding="utf-8")
        return self.printed(name, ["place", "--problem", str(path), "--policy", json.dumps(run["policy"])
                                   if isinstance(run["policy"], dict) else run["policy"], "--format", "json"])["cases"][0]

    def printed(self, name, arguments):
        done = subprocess.run([self.moesim, *arguments], cwd=ROOT, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=RUN_SECONDS_MAX)
        if done.returncode != 0:
            raise PaperError(f"{self.paper['name']}: run {name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def with_files(self, value):
        """The same JSON with files in the place of what describes them: traces, and models that differ from known ones."""
        if isinstance(value, list):
            return [self.with_files(child) for child in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"$trace"}:
            return self.trace(value["$trace"])
        if "$model" in value:
            return self.model(value["$model"], value["set"])
        return {key: self.with_files(child) for key, child in value.items()}

    def trace(self, name):
        if name not in self.traces:
            if name not in self.paper.get("traces", {}):
                raise PaperError(f"{self.paper['name']}: no trace is named {name}")
            spec = fill(self.paper["traces"][name], self.constants)
            path = self.folder / f"{name}.npz"
            if spec["kind"] == "loads":
                made_routing.write_trace(path, made_routing.trace_with_loads(spec), spec["experts"])
            elif spec["kind"] == "choices":
                made_routing.write_trace(path, made_routing.trace_of_choices(spec), spec["experts"])
            elif spec["kind"] == "scores":
                trace, gates = made_routing.trace_with_scores(spec)
                made_routing.write_trace(path, trace, spec["experts"], gates=gates)
            elif spec["kind"] == "homes":
                trace, ids = made_routing.trace_with_homes(spec)
                made_routing.write_trace(path, trace, spec["experts"], ids)
            elif spec["kind"] == "training_counts":
                if self.data is None:
                    raise MissingData(f"needs {training_counts.NAME}")
                counts = training_counts.read(self.data)
                made_routing.write_trace(path, training_counts.trace(counts, spec), counts.experts)
            else:
                raise PaperError(f"{self.paper['name']}: traces of kind {spec['kind']} are not known")
            self.traces[name] = str(path)
        return self.traces[name]

    def model(self, name, changes):
        known = ROOT / "models" / "llms" / f"{name}.json"
        model = json.loads(known.read_text(encoding="utf-8")) | changes
        model.pop("published", None)  # the parameter counts of the model as it is
        model["name"] = f"{model['name']} with {', '.join(f'{key} {value}' for key, value in changes.items())}"
        path = self.folder / f"{name}.model.json"
        path.write_text(json.dumps(model), encoding="utf-8")
        return str(path)
