"""Reads validation/papers/*.json: what a paper published, the runs that simulate it, and how they are compared."""

import copy
import json
import math
from pathlib import Path

FIT_CONSTANTS_MAX = 3  # of a paper; with more of them a fit would explain anything
KEYS = {
    "paper": {"format_version", "name", "title", "source", "read", "assumptions", "constants", "fit", "seeds", "traces",
              "runs", "rows"},
    "constant": {"name", "value", "unit", "how", "range"},
    "run": {"scenario", "like", "problem", "policy", "set"},
    "row": {"id", "claim", "source", "figure", "unit", "digits", "expect", "misses"},
    "expect": {"value", "within", "by", "between", "above", "equals"},
}
REQUIRED = {
    "paper": {"format_version", "name", "title", "source", "read", "runs", "rows"},
    "constant": {"name", "value", "how"}, "run": set(), "row": {"id", "claim", "figure", "expect"}, "expect": set(),
}


class PaperError(Exception):
    """The input is wrong: each line says where, and what."""


class MissingData(Exception):
    """A figure needs data that may not be committed and was not given."""


def check_keys(value, kind, where, faults):
    if not isinstance(value, dict):
        faults.append(f"{where}: must be an object")
        return False
    faults += [f"{where}/{key}: unknown key" for key in value.keys() - KEYS[kind]]
    faults += [f"{where}/{key}: is missing" for key in REQUIRED[kind] - value.keys()]
    return True


def check_expect(expect, where, faults):
    """One kind of expectation, and a tolerance where it needs one."""
    if not check_keys(expect, "expect", where, faults):
        return
    kinds = expect.keys() & {"value", "between", "above", "equals"}
    if len(kinds) != 1:
        faults.append(f"{where}: must have one of value, between, above, equals")
    if "value" in expect and len(expect.keys() & {"within", "by"}) != 1:
        faults.append(f"{where}: a value needs a tolerance, within (a part of it) or by")


def check_paper(paper, faults):
    if not check_keys(paper, "paper", "", faults):
        return
    if paper.get("format_version") != 1:
        faults.append("/format_version: must be 1")
    for i, constant in enumerate(paper.get("constants", [])):
        check_keys(constant, "constant", f"/constants/{i}", faults)
    for name, run in paper.get("runs", {}).items():
        if check_keys(run, "run", f"/runs/{name}", faults) and len(run.keys() & {"scenario", "like", "problem"}) != 1:
            faults.append(f"/runs/{name}: must have one of scenario, like, problem")
        if run.get("like", name) not in paper["runs"]:
            faults.append(f"/runs/{name}/like: no run of that name")
    ids = [row.get("id") for row in paper.get("rows", [])]
    for i, row in enumerate(paper.get("rows", [])):
        if check_keys(row, "row", f"/rows/{i}", faults) and "expect" in row:
            check_expect(row["expect"], f"/rows/{i}/expect", faults)
    faults += [f"/rows: {name} comes more than once" for name in sorted(set(ids)) if ids.count(name) > 1]
    fit = paper.get("fit", {})
    names = {constant.get("name") for constant in paper.get("constants", []) if "range" in constant}
    faults += [f"/fit/constants: {name} is no constant with a range" for name in set(fit.get("constants", [])) - names]
    faults += [f"/fit/rows: no row {name}" for name in set(fit.get("rows", [])) - set(ids)]
    if len(fit.get("constants", [])) > FIT_CONSTANTS_MAX:
        faults.append(f"/fit/constants: more than {FIT_CONSTANTS_MAX}")
    if len(fit.get("rows", [])) < len(fit.get("constants", [])):
        faults.append("/fit/rows: fewer than constants")


def read_paper(path):
    path = Path(path)
    try:
        paper = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PaperError(f"{path}: {error}") from error
    faults = []
    check_paper(paper, faults)
    if faults:
        raise PaperError("\n".join(f"{path}: {fault}" for fault in faults))
    return paper


def constants_of(paper):
    return {constant["name"]: constant["value"] for constant in paper.get("constants", [])}


def seeds_of(paper):
    """Each is the constant `seed` of runs of their own; a row's figure is the mean over them."""
    return paper.get("seeds", [1])


def fill(value, constants):
    """The same JSON with {"$": "NAME"} replaced by that constant, "times" a number, and with a "unit" by a quantity."""
    if isinstance(value, dict):
        if "$" in value and value.keys() <= {"$", "unit", "times"}:
            if value["$"] not in constants:
                raise PaperError(f"no constant is named {value['$']}")
            constant = constants[value["$"]]
            if "times" in value:
                constant *= value["times"]
            return f"{constant} {value['unit']}" if "unit" in value else constant
        return {key: fill(child, constants) for key, child in value.items()}
    if isinstance(value, list):
        return [fill(child, constants) for child in value]
    return value


def set_at(document, pointer, value):
    """Sets what a JSON pointer names; objects on the way are made, and a policy given by its name alone becomes one."""
    keys = pointer.strip("/").split("/")
    at = document
    for key in keys[:-1]:
        if isinstance(at.get(key), str):
            at[key] = {"policy": at[key]}
        at = at.setdefault(key, {})
    at[keys[-1]] = value


def resolved_run(paper, name, constants):
    """A run with all that it is like put in, and the constants."""
    run = paper["runs"].get(name)
    if run is None:
        raise PaperError(f"{paper['name']}: no run is named {name}")
    base = resolved_run(paper, run["like"], constants) if "like" in run else {}
    base = copy.deepcopy(base)
    for key in run.keys() & {"scenario", "problem", "policy"}:
        base[key] = fill(run[key], constants)
    for pointer, value in run.get("set", {}).items():
        set_at(base["scenario" if "scenario" in base else "problem"], pointer, fill(value, constants))
    return base


def meets(expect, value):
    """Whether a simulated figure is what the expectation asks for."""
    if "equals" in expect:
        return value == expect["equals"]
    if isinstance(value, float) and math.isnan(value):
        return False
    if "between" in expect:
        return expect["between"][0] <= value <= expect["between"][1]
    if "above" in expect:
        return value > expect["above"]
    allowed = expect["by"] if "by" in expect else abs(expect["value"]) * expect["within"]
    return abs(value - expect["value"]) <= allowed
