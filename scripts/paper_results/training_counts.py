"""Expert counts of training in the form of the SmartMoE artifact, made into routing.

Read are either `smartmoe_training_counts.npz` (`counts` [step, rank, layer, microbatch, expert], `step`), or the
artifact's own files: one a step and rank, with a line `LAYER:[[counts of a microbatch], ...]` for each layer. The names
of those files are not described anywhere; the last two numbers in them are taken for step and rank, the one with fewer
different values being the rank.
"""

import ast
import array
import json
import random
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from paper_results.paper_file import MissingData, PaperError

NAME = "smartmoe_training_counts"
TOP_K = 2


@dataclass
class Counts:
    steps: list   # numbers of the recorded steps
    ranks: int
    layers: int
    microbatches: int
    experts: int
    at: object    # at(step's place, rank, layer, microbatch) -> counts of the experts


def read_array(archive, name):
    """The shape and values of whole numbers in C order."""
    raw = archive.read(name)
    if raw[:6] != b"\x93NUMPY":
        raise PaperError(f"{name}: is no numpy array")
    size = 2 if raw[6] == 1 else 4
    begin = 8 + size + int.from_bytes(raw[8:8 + size], "little")
    head = ast.literal_eval(raw[8 + size:begin].decode("latin1"))
    codes = {"u1": "B", "u2": "H", "u4": "I", "i2": "h", "i4": "i", "i8": "q", "u8": "Q"}
    code = codes.get(head["descr"][1:])
    if code is None or head["descr"][0] == ">" or head["fortran_order"]:
        raise PaperError(f"{name}: must be little-endian whole numbers in C order, not {head['descr']}")
    values = array.array(code, raw[begin:])
    if sys.byteorder == "big":
        values.byteswap()
    return head["shape"], values


def read_npz(path):
    with zipfile.ZipFile(path) as archive:
        shape, values = read_array(archive, "counts.npy")
        _, steps = read_array(archive, "step.npy")
    if len(shape) != 5 or len(steps) != shape[0]:
        raise PaperError(f"{path}: counts must be [step, rank, layer, microbatch, expert]")
    _, ranks, layers, microbatches, experts = shape

    def at(step, rank, layer, microbatch):
        first = (((step * ranks + rank) * layers + layer) * microbatches + microbatch) * experts
        return values[first:first + experts]

    return Counts(list(steps), ranks, layers, microbatches, experts, at)


def read_lines(path):
    """[layer][microbatch][expert] of one file of the artifact."""
    layers = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\d+)\s*:\s*(\[.*\])\s*", line)
        try:
            layers[int(match[1])] = json.loads(match[2])
        except (TypeError, ValueError) as error:
            raise PaperError(f"{path}:{number}: must be LAYER:[[counts], ...]") from error
    return [layers[layer] for layer in sorted(layers)]


def read_folder(folder):
    numbers = {}
    for path in sorted(folder.iterdir()):
        found = re.findall(r"\d+", path.name)
        if path.is_file() and len(found) >= 2:
            numbers[path] = (int(found[-2]), int(found[-1]))
    if not numbers:
        raise PaperError(f"{folder}: holds no files with a step and a rank in their names")
    firsts, seconds = ({pair[i] for pair in numbers.values()} for i in (0, 1))
    rank_place = 0 if len(firsts) < len(seconds) else 1
    ranks, steps = (sorted({pair[i] for pair in numbers.values()}) for i in (rank_place, 1 - rank_place))
    paths = {(pair[1 - rank_place], pair[rank_place]): path for path, pair in numbers.items()}
    if len(paths) != len(steps) * len(ranks):
        raise PaperError(f"{folder}: {len(paths)} files for {len(steps)} steps of {len(ranks)} ranks")
    files = {}
    first = read_lines(paths[steps[0], ranks[0]])

    def at(step, rank, layer, microbatch):
        key = steps[step], ranks[rank]
        if key not in files:
            files[key] = read_lines(paths[key])
        return files[key][layer][microbatch]

    return Counts(steps, len(ranks), len(first), len(first[0]), len(first[0][0]), at)


def read(data):
    """From a folder that holds the .npz or the artifact's `moe_trace`."""
    data = Path(data)
    if (data / f"{NAME}.npz").is_file():
        return read_npz(data / f"{NAME}.npz")
    if (data / "moe_trace").is_dir():
        return read_folder(data / "moe_trace")
    raise MissingData(f"needs {NAME}, which is not in {data}")


def pairs(counts, rng):
    """Tokens with two different experts each, in random order, that add up to the counts."""
    if sum(counts) % TOP_K or max(counts) * TOP_K > sum(counts):
        raise PaperError("counts of a microbatch cannot come from tokens with two different experts each")
    row = [expert for expert in sorted(range(len(counts)), key=lambda e: -counts[e]) for _ in range(counts[expert])]
    half = len(row) // TOP_K  # no expert has more than half, so a token's two lie in different runs
    tokens = list(zip(row[:half], row[half:]))
    rng.shuffle(tokens)
    return tokens


def trace(counts, spec):
    """Routing of one recorded step: its first `train` microbatches, then the next `judged` ones rank by rank.

    Read by one sequence a rank with as many new tokens as a microbatch has, the judged microbatches are a step each.
    Which tokens of a layer are which of the next is not recorded, and drawn.
    """
    place = counts.steps.index(spec["step"]) if spec["step"] in counts.steps else None
    if place is None:
        raise PaperError(f"{NAME}: step {spec['step']} is not recorded")
    train, judged = spec["train"], spec["judged"]
    if train + judged > counts.microbatches:
        raise PaperError(f"{NAME}: only {counts.microbatches} microbatches are recorded")
    order = [(rank, batch) for batch in range(train) for rank in range(counts.ranks)]
    order += [(rank, batch) for rank in range(counts.ranks) for batch in range(train, train + judged)]
    tokens = []
    for rank, batch in order:
        rng = random.Random(f"{spec['step']} {rank} {batch}")
        layers = [pairs(counts.at(place, rank, layer, batch), rng) for layer in range(counts.layers)]
        tokens += [list(token) for token in zip(*layers)]
    return tokens
