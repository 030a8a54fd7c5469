"""Writes recorded routing as moesim reads it: HDF5 version 1 (docs/traces.md), or .npz where the name ends so.

HDF5 needs h5py. An .npz has no room for texts, so a .json of the same name goes beside it; `moesim trace convert` reads
both. Used by train_moe.py and record_huggingface.py.
"""
import json
import os
import pathlib

import numpy as np

FORMAT_VERSION = 1
COLUMNS = ("token", "request", "position", "phase", "step", "rank", "domain")


def smallest_type(largest):
    """The unsigned type of expert ids; the highest number of each type marks a choice that no expert computes."""
    return np.uint8 if largest < 255 else np.uint16


def check_trace(arrays, about):
    ids = arrays["ids"]
    tokens, layers, choices = ids.shape
    if not tokens:
        raise SystemExit("nothing was recorded")
    if ids.max() >= about["experts"]:
        raise SystemExit(f"the choice {ids.max()} is none of {about['experts']} experts")
    ordered = np.sort(ids, axis=2)
    if choices > 1 and (ordered[:, :, 1:] == ordered[:, :, :-1]).any():
        raise SystemExit("a token chose an expert twice in one layer")
    gate = arrays.get("gate")
    if gate is not None:
        if gate.shape != ids.shape:
            raise SystemExit(f"weights of shape {gate.shape} for choices of shape {ids.shape}")
        if not (np.isfinite(gate).all() and (gate >= 0).all()):
            raise SystemExit("a gate weight is negative or no number")
    for name in COLUMNS:
        if name in arrays and arrays[name].shape != (tokens,):
            raise SystemExit(f"{name} has the shape {arrays[name].shape} for {tokens} tokens")


def write_hdf5(path, arrays, about):
    import h5py  # only here, so that machines without it can write .npz

    tokens, layers, choices = arrays["ids"].shape
    rows = max(1, min(tokens, (1 << 18) // (layers * choices)))
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = np.int64(FORMAT_VERSION)
        file.attrs["experts"] = np.int64(about["experts"])
        file.attrs["top_k"] = np.int64(choices)
        for name in ("model", "source", "recorded"):
            if about.get(name):
                file.attrs[name] = about[name]
        if about.get("layer_numbers"):
            file.attrs["layer_numbers"] = np.array(about["layer_numbers"], np.int64)
        if about.get("domains") and "domain" in arrays:
            file.attrs["domains"] = about["domains"]
        for name, values in arrays.items():
            chunks = (rows,) + values.shape[1:]
            file.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=6,
                                shuffle=values.dtype.itemsize > 1, track_times=False)


def write_trace(path, arrays, about):
    """Writes ids [tokens, layers, k] by falling gate weight, gate of the same shape, and columns of one value a token.

    `about` holds experts and, where known, model, source, recorded, layer_numbers, domains. Files are written beside
    their name and renamed, so that none is ever half there.
    """
    path = pathlib.Path(path)
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    arrays["ids"] = arrays["ids"].astype(smallest_type(about["experts"] - 1))
    check_trace(arrays, about)
    if "gate" in arrays:
        arrays["gate"] = arrays["gate"].astype(np.float16)
    for name in COLUMNS:
        if name in arrays:
            arrays[name] = arrays[name].astype(np.int32)
    part = path.with_name(path.name + ".part")
    if path.suffix == ".npz":
        with open(part, "wb") as file:
            np.savez_compressed(file, experts=np.int64(about["experts"]), **arrays)
        path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    else:
        write_hdf5(part, arrays, about)
    os.replace(part, path)
