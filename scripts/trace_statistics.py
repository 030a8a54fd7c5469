#!/usr/bin/env python3
"""The statistics of `moesim trace stats --format json`, by numpy: trace_statistics.py TRACE.h5 > statistics.json

Written from docs/traces.md alone and used by a test: what it prints of the sample trace lies in
tests/golden/traces/sample_statistics.json, and moesim must say the same.
"""
import json
import statistics
import sys

import h5py
import numpy as np

WINDOWS = 10


def entropy(counts):
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def fits(load):
    log_load = np.log(np.sort(load[load > 0])[::-1].astype(float))
    n = len(log_load)
    log_rank = np.log(np.arange(1, n + 1))
    slope, offset = np.polyfit(log_rank, log_load, 1)
    quantile = np.array([statistics.NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    sigma = log_load.std()
    return {"zipf_exponent": float(-slope),
            "zipf_error": float(np.sqrt(((log_load - slope * log_rank - offset) ** 2).mean())),
            "log_normal_sigma": float(sigma),
            "log_normal_error": float(np.sqrt(((log_load - log_load.mean() + sigma * quantile) ** 2).mean()))}


def apart(a, b):
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)


def layer_statistics(ids, layer, experts, token, request, domains):
    chosen = ids[:, layer, :]
    load = np.bincount(chosen.ravel(), minlength=experts)
    mean = load.mean()
    sorted_load = np.sort(load)
    tokens = len(ids)
    window = np.minimum(WINDOWS - 1, (np.arange(tokens) / tokens * WINDOWS).astype(int))
    loads = [np.bincount(chosen[window == w].ravel(), minlength=experts) for w in range(WINDOWS)]
    share = load / load.sum()
    result = {
        "layer": layer, "load": load.tolist(), "dropped": 0, "max_over_mean": float(load.max() / mean),
        "max_over_mean_ep8": float(load.reshape(8, -1).sum(1).max() * 8 / load.sum()),
        "gini": float(np.abs(sorted_load[:, None] - sorted_load[None, :]).sum() / (2 * experts ** 2 * mean)),
        "entropy_bits": entropy(load), **fits(load),
        "drift": {"neighbours": float(np.mean([apart(a, b) for a, b in zip(loads, loads[1:])])),
                  "ends": apart(loads[0], loads[-1]),
                  "chance": float(np.sqrt(4 * share * (1 - share) / (np.pi * load.sum() / WINDOWS)).sum() / 2)}}
    first = chosen[:, 0].astype(int)
    if layer + 1 < ids.shape[1]:
        joint = np.zeros((experts, experts), int)
        np.add.at(joint, (first, ids[:, layer + 1, 0].astype(int)), 1)
        result["to_next"] = {
            "pairs": tokens,
            "mutual_information_bits": entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel()),
            "concentration": float(joint.max(1).sum() / tokens)}
    order = {r: i for i, r in enumerate(dict.fromkeys(request.tolist()))}
    learnt = np.array([order[r] for r in request.tolist()]) < (len(order) + 1) // 2
    table = np.zeros((token.max() + 1, experts), int)
    np.add.at(table, (token[learnt], first[learnt]), 1)
    popular = np.bincount(first[learnt], minlength=experts).argmax()
    guess = np.where(table.sum(1) > 0, table.argmax(1), popular)[token[~learnt]]
    result["token_table"] = {"tested": int((~learnt).sum()), "accuracy": float((guess == first[~learnt]).mean()),
                             "accuracy_by_popularity": float((popular == first[~learnt]).mean())}
    seen = float((table.sum(1) > 0)[token[~learnt]].mean())
    by_domain = {}
    for domain in np.unique(domains).tolist():
        inside = np.bincount(chosen[domains == domain].ravel(), minlength=experts)
        by_domain[domain] = float(inside.max() / inside.mean())
    return result, by_domain, seen


def main():
    with h5py.File(sys.argv[1]) as f:
        ids, experts = f["ids"][:], int(f.attrs["experts"])
        token, request, domains = f["token"][:], f["request"][:], f["domain"][:]
        names = [n.decode() if isinstance(n, bytes) else n for n in f.attrs["domains"]]
    layers = [layer_statistics(ids, layer, experts, token, request, domains) for layer in range(ids.shape[1])]
    json.dump({"tokens": len(ids), "layers": ids.shape[1], "top_k": ids.shape[2], "experts": experts,
               "requests": len(set(request.tolist())), "tested_ids_seen": layers[0][2],
               "by_layer": [layer for layer, _, _ in layers],
               "by_domain": [{"domain": d, "name": names[d], "tokens": int((domains == d).sum()),
                              "max_over_mean": [by[d] for _, by, _ in layers]} for d in np.unique(domains).tolist()]},
              sys.stdout, separators=(",", ":"))
    print()


main()
