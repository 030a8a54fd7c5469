"""What the sources of import_measurements.py share: faults, results, reading."""

import gzip
import math
import sys
import zlib


FILE_BYTES_MAX = 256 << 20


class Faults:
    """All that is wrong with the input, each with its place."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, message):
        self.lines.append(f"{path}:{line}: {message}" if line else f"{path}: {message}")


class Result:
    """What a source had: records, the device where it names one, and facts of the machine."""

    def __init__(self):
        self.records = []
        self.device = ""
        self.machine = {}


def read_text(path, faults):
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rb") as file:
                raw = file.read(FILE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        faults.add(path, 0, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    if len(raw) > FILE_BYTES_MAX:
        faults.add(path, 0, f"over {FILE_BYTES_MAX >> 20} MiB")
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        faults.add(path, 0, f"not a text in UTF-8: byte {error.start}")
        return None


def number(text):
    """A finite number, or None."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def whole(text):
    """A whole number, or None."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return None


def microseconds(value):
    return round(value, 3)


def collective(op, ranks, size, nodes=1):
    """A collective within one host; across several it is of another kind, since it measures a fabric."""
    record = {"kind": "collective" if nodes == 1 else "fabric_collective", "op": op, "ranks": ranks, "bytes": size}
    if nodes > 1:
        record["nodes"] = nodes
    if op == "ring_send_receive":  # each rank to the next: an uneven all-to-all
        record["op"] = "all_to_all"
        record["send_bytes"] = [[size if to == (rank + 1) % ranks else 0 for to in range(ranks)] for rank in range(ranks)]
    return record
