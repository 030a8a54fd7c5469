#!/usr/bin/env python3
"""Cuts a sample out of a recorded routing trace: whole documents, stratified over the domains, in a fair order.

usage: make_sample_trace.py TRACE.npz SAMPLE.h5 [--documents 80] [--gate GATE.npz]

TRACE.npz holds ids [tokens, layers, k], token, doc and domain; beside it lies TRACE.json with `experts` and `domains`.
The documents are shared out among the domains as evenly as there are documents: one at a time to the domain that has
the fewest, the first ones of each domain. Each domain's documents are then spread evenly over the sample, so that any
stretch of it mixes the domains as the whole does. The same input gives the same bytes.
"""
import argparse
import json
import pathlib

import h5py
import numpy as np

FORMAT_VERSION = 1


def chosen_documents(domain_of_document, documents):
    """The documents of the sample, in its order."""
    queues = {}
    for document, domain in enumerate(domain_of_document):
        queues.setdefault(int(domain), []).append(document)
    taken = {domain: 0 for domain in queues}
    for _ in range(min(documents, len(domain_of_document))):
        domain = min((d for d in queues if taken[d] < len(queues[d])), key=lambda d: (taken[d], d))
        taken[domain] += 1
    # Document i of n in a domain belongs at the share (i + 1/2) / n of the sample; compared as fractions of integers.
    scale = int(np.lcm.reduce([2 * n for n in taken.values() if n]))
    order = [((2 * i + 1) * (scale // (2 * taken[d])), d, queues[d][i]) for d in queues for i in range(taken[d])]
    return [document for _, _, document in sorted(order)]


def write_dataset(file, name, values, chunks):
    file.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=9,
                        shuffle=values.dtype.itemsize > 1, track_times=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("sample")
    parser.add_argument("--documents", type=int, default=80)
    parser.add_argument("--gate", help="an .npz with the gate weights of the same tokens; they double the size")
    arguments = parser.parse_args()

    trace = np.load(arguments.trace)
    about = json.loads(pathlib.Path(arguments.trace).with_suffix(".json").read_text())
    firsts = np.flatnonzero(np.r_[True, np.diff(trace["doc"]) != 0])
    ends = np.r_[firsts[1:], len(trace["doc"])]
    chosen = chosen_documents(trace["domain"][firsts], arguments.documents)
    tokens = np.concatenate([np.arange(firsts[d], ends[d]) for d in chosen])
    lengths = [ends[d] - firsts[d] for d in chosen]

    ids = trace["ids"][tokens]
    rows = min(4096, len(tokens))
    with h5py.File(arguments.sample, "w") as file:
        file.attrs["format_version"] = np.int64(FORMAT_VERSION)
        file.attrs["experts"] = np.int64(about["experts"])
        file.attrs["top_k"] = np.int64(ids.shape[2])
        file.attrs["zero_experts"] = np.int64(0)
        # Texts of fixed length: those of variable length would lie in a heap of their own.
        file.attrs["model"] = np.bytes_(f"moe64k8: {about['params'] / 1e6:.0f}M parameters, OLMoE's {ids.shape[1]} layers, "
                                        f"{about['experts']} experts and top-{ids.shape[2]}; not OLMoE itself")
        file.attrs["source"] = np.bytes_(f"{len(chosen)} documents of unseen text out of {len(firsts)}, "
                                         f"{len(about['domains'])} domains in turn")
        file.attrs["recorded"] = np.bytes_(f"forward pass after training on {about['train_tokens_seen'] / 1e6:.0f} M tokens "
                                           f"(validation loss {about['val_loss']:.2f}), choices by falling gate weight")
        file.attrs["domains"] = np.array(about["domains"], dtype="S")
        write_dataset(file, "ids", ids, (rows, 1, ids.shape[2]))  # a layer's choices together compress best
        if arguments.gate:
            write_dataset(file, "gate", np.load(arguments.gate)["gate"][tokens], (rows, 1, ids.shape[2]))
        write_dataset(file, "token", trace["token"][tokens].astype(np.int32), (rows,))
        write_dataset(file, "request", np.repeat(np.arange(len(chosen), dtype=np.int32), lengths), (rows,))
        write_dataset(file, "position", np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]), (rows,))
        write_dataset(file, "domain", trace["domain"][tokens].astype(np.int32), (rows,))
    print(f"{arguments.sample}: {len(tokens)} tokens, {len(chosen)} documents, "
          f"{pathlib.Path(arguments.sample).stat().st_size} bytes")


if __name__ == "__main__":
    main()
