"""Finds the constants that a paper's file names for a fit, from the rows that it names. Nothing is written."""

import statistics
import tempfile

from paper_results.paper_file import PaperError, constants_of
from paper_results.runs import runners_of

GOLDEN = (5 ** 0.5 - 1) / 2
NARROWINGS = 12  # of a constant's range, to a 300th
SWEEPS = 2       # over the constants, where there are several


def target(expect):
    if "value" in expect:
        return expect["value"]
    raise PaperError("a row to fit to must expect a value")


def miss(moesim, paper, data, constants):
    """Sum of squared relative errors of the rows that are fitted to."""
    rows = [row for row in paper["rows"] if row["id"] in paper["fit"]["rows"]]
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        runners = runners_of(moesim, paper, data, folder, constants)
        means = [statistics.fmean(runner.figure(row) for runner in runners) for row in rows]
    return sum((mean / target(row["expect"]) - 1) ** 2 for mean, row in zip(means, rows))


def least(function, low, high):
    """Golden section search of a function with one valley."""
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(inner[0]), function(inner[1])]
    for _ in range(NARROWINGS):
        if values[0] <= values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - GOLDEN * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + GOLDEN * (high - low)
            values[1] = function(inner[1])
    return (low + high) / 2


def fit(moesim, paper, data, say):
    if "fit" not in paper:
        raise PaperError(f"{paper['name']}: names nothing to fit")
    names = paper["fit"]["constants"]
    ranges = {constant["name"]: constant["range"] for constant in paper["constants"] if "range" in constant}
    constants = constants_of(paper)
    for _ in range(SWEEPS if len(names) > 1 else 1):
        for name in names:
            constants[name] = least(lambda value: miss(moesim, paper, data, constants | {name: value}), *ranges[name])
            say(f"{name} = {constants[name]:.4g}")
    return {name: constants[name] for name in names}
