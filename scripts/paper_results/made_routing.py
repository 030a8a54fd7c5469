"""Routing that is made to have published properties: traces with given loads, and transitions with given affinity.

Python's random numbers and its order of operations are the same everywhere; results are rounded to whole tokens.
"""

import array
import bisect
import io
import itertools
import math
import random
import statistics
import sys
import zipfile

ORDERS = 64  # random orders of the experts, in which tokens draw in turn
BALANCE_ROUNDS = 100


def normal(rng):
    return statistics.NormalDist().inv_cdf(rng.random() or 0.5)


def shares_of(weights, top_k, given):
    """Shares of a layer's choices: those given, the rest by weight. No expert is chosen by more than every token."""
    shares = dict(given)
    while True:
        free = [expert for expert in range(len(weights)) if expert not in shares]
        left = 1 - sum(shares.values())
        total = sum(weights[expert] for expert in free)
        full = [expert for expert in free if left * weights[expert] / total > 1 / top_k]
        if not full:
            return [shares[expert] if expert in shares else left * weights[expert] / total
                    for expert in range(len(weights))]
        shares |= {expert: 1 / top_k for expert in full}


def draw_layer(shares, top_k, tokens, rng):
    """For each token k different experts, each with probability k x share exactly: systematic sampling."""
    orders = []
    for _ in range(ORDERS):
        order = list(range(len(shares)))
        rng.shuffle(order)
        sums = list(itertools.accumulate(top_k * shares[expert] for expert in order))
        orders.append((order, [total / sums[-1] * top_k for total in sums]))
    last = len(shares) - 1
    chosen = []
    for token in range(tokens):
        order, sums = orders[token % ORDERS]
        start = rng.random()
        chosen.append([order[min(bisect.bisect_right(sums, start + k), last)] for k in range(top_k)])
    return chosen


def trace_with_loads(spec):
    """[token][layer][k] of experts whose loads are log-normal but for those that `given` tells, by layer and expert.

    In the first half, which placements learn from, each expert's weight is off by a factor of log-deviation `drift`.
    """
    layers = []
    for layer in range(spec["layers"]):
        rng = random.Random(f"{spec['seed']} {layer}")
        weights = [math.exp(spec["sigma"] * normal(rng)) for _ in range(spec["experts"])]
        given = {int(expert): share for expert, share in spec.get("given", {}).get(str(layer), {}).items()}
        judged = shares_of(weights, spec["top_k"], given)
        known = shares_of([share * math.exp(spec["drift"] * normal(rng)) for share in judged], spec["top_k"], {})
        half = spec["tokens"] // 2
        layers.append(draw_layer(known, spec["top_k"], half, rng) +
                      draw_layer(judged, spec["top_k"], spec["tokens"] - half, rng))
    return [list(token) for token in zip(*layers)]


def trace_with_homes(spec):
    """[token][layer][k] and each token's id: `home_part` of its choices are among the experts of the GPU of its id."""
    rng = random.Random(f"homes {spec['seed']}")
    block = spec["experts"] // spec["gpus"]
    trace, ids = [], []
    for _ in range(spec["tokens"]):
        ids.append(rng.randrange(spec["ids"]))
        first = ids[-1] % spec["gpus"] * block
        layers = []
        for _ in range(spec["layers"]):
            near = rng.sample(range(first, first + block), spec["top_k"])
            far = rng.sample([expert for expert in range(spec["experts"]) if not first <= expert < first + block],
                             spec["top_k"])
            layers.append([at_home if rng.random() < spec["home_part"] else away for at_home, away in zip(near, far)])
        trace.append(layers)
    return trace, ids


def trace_of_choices(spec):
    """[token][layer][1]: the expert of each token as listed, first those of the past, then those that steps read."""
    return [[[expert]] * spec.get("layers", 1) for expert in spec["past"] + spec["read"]]


def trace_with_scores(spec):
    """[token][layer][kept] experts by falling score, and their gate weights, a softmax over all.

    A score is an expert's own, of deviation `sigma`, and a standard normal variate of which `memory` stays from a token
    to the next.
    """
    trace, gates = ([[None] * spec["layers"] for _ in range(spec["tokens"])] for _ in range(2))
    fresh = math.sqrt(1 - spec["memory"] ** 2)
    for layer in range(spec["layers"]):
        rng = random.Random(f"scores {spec['seed']} {layer}")
        own = [spec["sigma"] * normal(rng) for _ in range(spec["experts"])]
        moving = [normal(rng) for _ in own]
        for token in range(spec["tokens"]):
            moving = [spec["memory"] * before + fresh * normal(rng) for before in moving]
            weights = [math.exp(a + b) for a, b in zip(own, moving)]
            total = sum(weights)
            order = sorted(range(len(own)), key=lambda expert: -weights[expert])[:spec["kept"]]
            trace[token][layer] = order
            gates[token][layer] = [weights[expert] / total for expert in order]
    return trace, gates


def npy(type_name, shape, data):
    head = f"{{'descr': '{type_name}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data


def write_trace(path, trace, experts, token_ids=None, gates=None):
    """The .npz that docs/traces.md describes, for at most 255 experts."""
    shape = (len(trace), len(trace[0]), len(trace[0][0]))
    ids = io.BytesIO()
    for token in trace:
        for choices in token:
            ids.write(bytes(choices))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("ids.npy"), npy("|u1", shape, ids.getvalue()))
        if gates is not None:
            data = array.array("f", (weight for token in gates for layer in token for weight in layer))
            if sys.byteorder == "big":
                data.byteswap()
            archive.writestr(zipfile.ZipInfo("gate.npy"), npy("<f4", shape, data.tobytes()))
        if token_ids is not None:
            data = b"".join(token.to_bytes(4, "little") for token in token_ids)
            archive.writestr(zipfile.ZipInfo("token.npy"), npy("<i4", (len(token_ids),), data))
        archive.writestr(zipfile.ZipInfo("experts.npy"), npy("<i4", (), experts.to_bytes(4, "little")))


def balance(matrix):
    """Scales rows and columns until each adds up to 1, so that all experts are equally popular."""
    for _ in range(BALANCE_ROUNDS):
        rows = [sum(row) for row in matrix]
        matrix = [[value / total for value in row] for row, total in zip(matrix, rows)]
        columns = [sum(column) for column in zip(*matrix)]
        matrix = [[value / column for value, column in zip(row, columns)] for row in matrix]
    return matrix


def transition_matrix(spec, rng):
    experts = spec["experts"]
    if spec["affinity"] == "uniform":
        return [[1 / experts] * experts for _ in range(experts)]
    if spec["affinity"] == "chain":
        successor = list(range(experts))
        rng.shuffle(successor)
        return [[float(other == successor[expert]) for other in range(experts)] for expert in range(experts)]
    return balance([[math.exp(spec["sigma"] * normal(rng)) for _ in range(experts)] for _ in range(experts)])


def problem_with_affinity(spec):
    """A case for `moesim place --problem`: [layer][expert x experts + expert of the next layer] tokens."""
    rng = random.Random(spec["seed"])
    per_expert = spec["tokens"] // spec["experts"]
    transitions = []
    for _ in range(spec["layers"] - 1):
        matrix = transition_matrix(spec, rng)
        transitions.append([round(per_expert * value) for row in matrix for value in row])
    return {"name": "affinity", "weights": [[per_expert] * spec["experts"]] * spec["layers"],
            "replicas": spec["experts"], "gpus": spec["gpus"], "nodes": spec.get("nodes", 1), "transitions": transitions}
