#!/usr/bin/env python3
"""Turns what others measured into a measurement file of moesim, as moesim-bench writes it.

One subcommand a source: logs of nccl-tests, perftest and DeepEP's own tests, and tables of aiconfigurator and vidur
(CSV, also .gz). What a source calls an element, a millisecond or a MB becomes bytes and microseconds. Rows that a
source gives several times become several samples of one record. `-` reads standard input.

Exit status: 0, or 2 with every fault of the input on standard error; then nothing is written.
"""

import argparse
import csv
import gzip
import json
import math
import os
import re
import shlex
import sys
import tempfile
import zlib

FILE_BYTES_MAX = 256 << 20
FAULTS_SHOWN_MAX = 50
EXAMPLES = """examples:
  import_measurements.py nccl-tests all_reduce.log alltoall.log -o h100x8.json
  import_measurements.py perftest ib_write_bw.log ib_write_lat.log --device "ConnectX-7" -o fabric.json
  import_measurements.py deepep test_intranode.log --ranks 8 --experts 256 -o deepep.json
  import_measurements.py aiconfigurator h100_gemm.csv.gz --where gemm_dtype=bfloat16 --every 20 -o gemm.json
  import_measurements.py vidur all_reduce.csv.gz --device "NVIDIA A100-SXM4-80GB" -o a100.json
"""


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


# --- Reading -----------------------------------------------------------------------------------------------------

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


# --- nccl-tests --------------------------------------------------------------------------------------------------

# Operation, and bus bandwidth over algorithm bandwidth by the number of ranks, as nccl-tests defines it.
NCCL_TESTS = {
    "all_reduce": ("all_reduce", lambda n: 2 * (n - 1) / n),
    "all_gather": ("all_gather", lambda n: (n - 1) / n),
    "reduce_scatter": ("reduce_scatter", lambda n: (n - 1) / n),
    "alltoall": ("all_to_all", lambda n: (n - 1) / n),
    "sendrecv": ("ring_send_receive", lambda n: 1),
}
NCCL_RANK = re.compile(r"#\s+Rank\s+(\d+)\s+(?:Group\s+\d+\s+)?Pid\s+\d+\s+on\s+(\S+)\s+device\s+\d+\s+\[[^\]]*\]\s*(.*\S)?")
NCCL_TEST = re.compile(r"\b(\w+?)_perf(?:_mpi)?\b")
NCCL_ROW = re.compile(r"\s*\d+\s+\d+\s+(?:int|uint|half|float|double|bfloat|f8|fp8|char)\w*\s")


class NcclRun:
    """The lines of one test between its header and its end."""

    def __init__(self, test):
        self.test = test
        self.hosts = {}  # [rank]
        self.devices = set()
        self.graph = 0
        self.iterations = 1
        self.rows = 0


def import_nccl_tests(options, faults):
    result = Result()
    samples = {}
    for path in options.files:
        text = read_text(path, faults)
        if text is not None:
            import_nccl_log(path, text, options, result, samples, faults)
    result.records = list(samples.values())
    return result


def import_nccl_log(path, text, options, result, samples, faults):
    run = NcclRun(options.op)
    rows = 0
    for number_of_line, line in enumerate(text.splitlines(), 1):
        line = line.replace("\t", "    ")
        if NCCL_ROW.match(line):
            rows += 1
            import_nccl_row(path, number_of_line, line.split(), run, options, samples, faults)
            continue
        if line.lstrip().startswith("# nThread"):
            named = run.test if run.rows == 0 else options.op
            run = NcclRun(named)
            run.graph = int((re.search(r"graph:\s*(\d+)", line) or [0, 0])[1])
            run.iterations = int((re.search(r"(?<!warmup )iters:\s*(\d+)", line) or [0, 1])[1])
        rank = NCCL_RANK.search(line)
        if rank:
            run.hosts[int(rank[1])] = rank[2]
            if rank[3]:
                run.devices.add(rank[3])
                result.device = result.device or rank[3]
            continue
        version = re.search(r"nccl-library=(\d+)|NCCL version ([\d.]+)", line)
        if version:
            result.machine.setdefault("nccl", version[1] or version[2])
        test = NCCL_TEST.search(line)
        if test and not options.op:
            run = run if run.rows == 0 else NcclRun("")
            if test[1].split("/")[-1] in NCCL_TESTS:
                run.test = test[1]
            elif line.lstrip().startswith("# Collective test starting"):
                faults.add(path, number_of_line, f"moesim has no such collective: {test[1]}_perf")
    if rows == 0:
        faults.add(path, 0, "no row of nccl-tests in it")


def import_nccl_row(path, line, fields, run, options, samples, faults):
    run.rows += 1
    if run.rows == 1 and run.test not in NCCL_TESTS:
        faults.add(path, line, "the log does not say which test this is; name it with --op")
    ranks = options.ranks or len(run.hosts)
    if run.rows == 1 and ranks < 2:
        faults.add(path, line, "the log does not list two ranks or more; give their number with --ranks")
    if run.test not in NCCL_TESTS or ranks < 2:
        return
    # size count type redop root, then time algbw busbw #wrong, out of place and in place.
    if len(fields) not in (13, 12, 9, 8):
        return faults.add(path, line, f"{len(fields)} columns, where nccl-tests has 13")
    first = len(fields) - 8 if len(fields) >= 12 else len(fields) - 4
    size = whole(fields[0])
    if size == 0:
        return
    for place in range(first, len(fields), 4):
        name = "out_of_place" if place == first else "in_place"
        if fields[place] in ("N/A", "-"):
            continue
        import_nccl_time(path, line, fields[place:place + 4], name, size, fields[2], ranks, run, samples, faults)


def import_nccl_time(path, line, fields, buffers, size, dtype, ranks, run, samples, faults):
    time, algorithm, bus = (number(field) for field in fields[:3])
    wrong = number(fields[3]) if fields[3] != "N/A" else 0
    if time is None or algorithm is None or bus is None or wrong is None or time <= 0:
        return faults.add(path, line, "a time, a bandwidth or a count of errors is not a number above 0")
    if wrong != 0:
        return faults.add(path, line, f"{fields[3]} wrong results: not a measurement of this collective")
    op, factor = NCCL_TESTS[run.test]
    # Bandwidths are printed with two decimals, so only large ones tell operations and ranks apart.
    if algorithm >= 5 and abs(bus / algorithm / factor(ranks) - 1) > 0.02:
        return faults.add(path, line, f"bus bandwidth {bus} over {algorithm} is not that of {run.test} on {ranks} ranks")
    if algorithm >= 5 and abs(size / time / 1e3 / algorithm - 1) > 0.05:
        return faults.add(path, line, f"{size} bytes in {time} us are not {algorithm} GB/s")
    launch = "graph" if run.graph else "eager"
    nodes = len(set(run.hosts.values())) or 1
    key = (op, ranks, nodes, size, dtype, buffers, launch)
    if key not in samples:
        record = collective(op, ranks, size, nodes)
        record.update({"dtype": dtype, "buffers": buffers, "launch": launch, "calls": max(run.graph, 1) * run.iterations,
                       "samples_us": []})
        samples[key] = record
    samples[key]["samples_us"].append(microseconds(time))


def collective(op, ranks, size, nodes=1):
    """A collective within one host; across several it is of another kind, since it measures a fabric."""
    record = {"kind": "collective" if nodes == 1 else "fabric_collective", "op": op, "ranks": ranks, "bytes": size}
    if nodes > 1:
        record["nodes"] = nodes
    if op == "ring_send_receive":  # each rank to the next: an uneven all-to-all
        record["op"] = "all_to_all"
        record["send_bytes"] = [[size if to == (rank + 1) % ranks else 0 for to in range(ranks)] for rank in range(ranks)]
    return record


# --- perftest ----------------------------------------------------------------------------------------------------

PERFTEST_TITLE = re.compile(r"\b(RDMA_Write|RDMA_Read|Send|Atomic\S*)\s+(?:Post List\s+)?(Bidirectional\s+)?(BW|Latency)\s+Test")
PERFTEST_SETTINGS = {"qps": r"Number of qps\s*:\s*(\d+)", "mtu": r"Mtu\s*:\s*(\d+)",
                     "connection": r"Connection type\s*:\s*(\w+)", "nic": r"Device\s*:\s*(\S+)",
                     "link": r"Link type\s*:\s*(\S+)"}
# perftest's MB are of 2^20 bytes, its Gb of 10^9 bits.
PERFTEST_UNITS = {"MB": 1 << 20, "MiB": 1 << 20, "Gb": 125e6, "GB": 1e9}


def import_perftest(options, faults):
    result = Result()
    samples = {}
    for path in options.files:
        text = read_text(path, faults)
        if text is not None:
            import_perftest_log(path, text, result, samples, faults)
    result.records = list(samples.values())
    return result


def import_perftest_log(path, text, result, samples, faults):
    title, columns, settings, rows = None, None, {}, 0
    for number_of_line, line in enumerate(text.splitlines(), 1):
        found = PERFTEST_TITLE.search(line)
        if found:
            title, columns, settings = found, None, {}
        for name, pattern in PERFTEST_SETTINGS.items():
            setting = re.search(pattern, line)
            if setting:
                settings[name] = int(setting[1]) if setting[1].isdigit() else setting[1]
        if line.lstrip().startswith("#bytes"):
            columns = re.findall(r"#?[\w.]+%?(?: \w+)?\[[^\]]*\]|#\w+|99(?:\.9)?% percentile\[usec\]", line)
            if title is None:
                faults.add(path, number_of_line, "a table without the title of a test before it")
            continue
        if columns is None or title is None or not re.match(r"\s*\d+\s+\d+\s+[\d.]", line):
            continue
        rows += 1
        record = perftest_record(path, number_of_line, title, columns, line.split(), faults)
        if record is not None:
            if "nic" in settings:
                result.device = result.device or str(settings["nic"])
            record.update({name: value for name, value in settings.items() if name != "nic"})
            samples_us = record.pop("samples_us")
            key = json.dumps({name: value for name, value in record.items() if not name.endswith("_us")})
            samples.setdefault(key, record | {"samples_us": []})["samples_us"] += samples_us
    if rows == 0:
        faults.add(path, 0, "no table of perftest in it")


def perftest_record(path, line, title, columns, fields, faults):
    values = [number(field) for field in fields]
    if len(values) < len(columns) or None in values:
        return faults.add(path, line, f"{len(fields)} columns, where the heading has {len(columns)}")
    row = dict(zip(columns, values))
    verb = {"RDMA_Write": "write", "RDMA_Read": "read", "Send": "send"}.get(title[1])
    if verb is None:
        return faults.add(path, line, f"moesim has no use for {title[1]}")
    record = {"kind": "fabric", "verb": verb, "bytes": int(values[0])}
    if title[3] == "Latency":
        record["measures"] = "latency"
        record["round_trip"] = verb == "read"  # write and send: half of it
        typical = row.get("t_typical[usec]", row.get("t_avg[usec]"))
        for name, column in (("min_us", "t_min[usec]"), ("max_us", "t_max[usec]"), ("p99_us", "99% percentile[usec]")):
            if column in row:
                record[name] = row[column]
        time = typical
    else:
        record["measures"] = "bandwidth"
        record["bidirectional"] = title[2] is not None
        column = next((name for name in columns if name.startswith("BW average[")), None)
        unit = column and PERFTEST_UNITS.get(re.search(r"\[(\w+)/", column)[1])
        if not unit:
            return faults.add(path, line, "no column `BW average` in MB/sec or Gb/sec")
        rate = row[column] * unit
        record["bytes_per_s"] = round(rate)
        time = record["bytes"] / rate * 1e6 if rate > 0 else 0
    if time is None or time <= 0 or record["bytes"] <= 0:
        return faults.add(path, line, "a size, a time or a rate is not above 0")
    return record | {"samples_us": [round(time, 6)]}


# --- DeepEP ------------------------------------------------------------------------------------------------------

DEEPEP_BEST = re.compile(r"\[tuning\] Best (dispatch|combine)(?: \((FP8|BF16)\))?: SMs (\d+), NVL chunk (\d+)"
                         r"(?:, RDMA chunk (\d+))?[:,]\s*(.*)")
DEEPEP_LOW = re.compile(r"\[rank (\d+)\] Dispatch bandwidth: ([\d.]+) GB/s, avg_t=([\d.]+) us(?:, [^|]*)? \| "
                        r"Combine bandwidth: ([\d.]+) GB/s, avg_t=([\d.]+) us")
DEEPEP_SPLIT = re.compile(r"\[rank (\d+)\] Dispatch send/recv time: ([\d.]+)(?: us)? \+ ([\d.]+) us \| "
                          r"Combine send/recv time: ([\d.]+)(?: us)? \+ ([\d.]+) us")
DEEPEP_CONFIG = {"tokens": "num_tokens", "hidden": "hidden", "topk": "num_topk", "experts": "num_experts",
                 "topk_groups": "num_topk_groups"}


def import_deepep(options, faults):
    result = Result()
    for path in options.files:
        text = read_text(path, faults)
        if text is not None:
            result.records += import_deepep_log(path, text, options, faults)
    return result


def import_deepep_log(path, text, options, faults):
    known = {"tokens": options.tokens, "hidden": options.hidden, "topk": options.topk, "experts": options.experts}
    records, low = [], {}
    for number_of_line, line in enumerate(text.splitlines(), 1):
        if "[config]" in line:
            for name, printed in DEEPEP_CONFIG.items():
                found = re.search(rf"\b{printed}=(\d+)", line)
                if found:
                    known[name] = int(found[1])
        best = DEEPEP_BEST.search(line)
        if best:
            record = deepep_normal(path, number_of_line, best, known, options, faults)
            if record is not None:
                records.append(record)
        found = DEEPEP_LOW.search(line)
        if found:
            rank = low.setdefault(int(found[1]), {})
            rank.update({"dispatch": float(found[3]), "combine": float(found[5])})
        found = DEEPEP_SPLIT.search(line)
        if found:
            low.setdefault(int(found[1]), {}).update(
                {"dispatch_split": [float(found[2]), float(found[3])], "combine_split": [float(found[4]), float(found[5])]})
    if low:
        records += deepep_low_latency(path, low, known, options, faults)
    if not records:
        faults.add(path, 0, "no result of DeepEP's tests in it")
    return records


def deepep_head(op, mode, ranks, known):
    record = {"kind": "deepep", "op": op, "mode": mode, "ranks": ranks}
    return record | {name: value for name, value in known.items() if value}


def deepep_normal(path, line, best, known, options, faults):
    if not options.ranks:
        return faults.add(path, line, "the log does not say how many ranks ran; give their number with --ranks")
    missing = [name for name in ("tokens", "hidden", "topk") if not known[name]]
    if missing:
        return faults.add(path, line, f"no line [config] before it; give --{', --'.join(missing)}")
    record = deepep_head(best[1], "normal", options.ranks, known)
    record["dtype"] = (best[2] or "BF16").lower()
    record.update({"sms": int(best[3]), "nvl_chunk": int(best[4])})
    if best[5]:
        record["rdma_chunk"] = int(best[5])
    rest = best[6]
    for name, label in (("rdma_gb_per_s", r"\(RDMA\)"), ("nvl_gb_per_s", r"\(NVL\)")):
        found = re.search(rf"([\d.]+) GB/s\s*{label}", rest)
        if found:
            record[name] = float(found[1])
    plain = re.search(r"([\d.]+) GB/s", rest)
    if plain and "nvl_gb_per_s" not in record:
        record["nvl_gb_per_s"] = float(plain[1])
    both = re.search(r"([\d.]+)(?: us)? \+ ([\d.]+) us", rest)
    alone = re.search(r"([\d.]+) us", rest)
    if both:
        record["notify_us"] = float(both[1])
        record["samples_us"] = [float(both[2])]
    elif alone:
        record["samples_us"] = [float(alone[1])]
    if "samples_us" not in record and "nvl_gb_per_s" not in record:
        return faults.add(path, line, "neither a time nor a rate")
    return record


def deepep_low_latency(path, low, known, options, faults):
    ranks = options.ranks or len(low)
    if sorted(low) != list(range(len(low))) or any("dispatch" not in rank for rank in low.values()):
        faults.add(path, 0, f"ranks {', '.join(map(str, sorted(low)))}: not each from 0 with its bandwidth")
        return []
    records = []
    for op in ("dispatch", "combine"):
        record = deepep_head(op, "low_latency", ranks, known)
        record["dtype"] = "fp8" if op == "dispatch" else "bf16"
        if all(op + "_split" in rank for rank in low.values()):
            record["send_us"] = max(rank[op + "_split"][0] for rank in low.values())
            record["receive_us"] = max(rank[op + "_split"][1] for rank in low.values())
        record["rank_us"] = [low[rank][op] for rank in sorted(low)]
        record["samples_us"] = [max(record["rank_us"])]
        records.append(record)
    return records


# --- Tables ------------------------------------------------------------------------------------------------------

def gemm_row(row):
    record = {"kind": "gemm", "m": row.whole("m"), "n": row.whole("n"), "k": row.whole("k"),
              "dtype": row.dtype("gemm_dtype")}
    if row.text("gemm_dtype") == "fp8_block":
        record["scaling"] = "block"
    kernel = row.text("kernel_source")
    # No product of the block-scaled kernels takes less than 55 us, however small: the host issues them.
    return record | {"kernel": kernel, "launch": "eager" if "BlockScaled" in kernel else "graph"}


def moe_row(row):
    record = {"kind": "moe_layer_fused", "d": row.whole("hidden_size"), "f": row.whole("inter_size"),
              "experts": row.whole("num_experts"), "k": row.whole("topk"), "tokens": row.whole("num_tokens"),
              "tensor_parallel": row.whole("moe_tp_size"), "expert_parallel": row.whole("moe_ep_size"),
              "dtype": row.dtype("moe_dtype"), "distribution": row.text("distribution")}
    return record | {"kernel": row.text("kernel_source"), "launch": "graph"}


def attention_row(row):
    decode = row.whole("step") > 0
    heads, kv_heads, width = row.whole("num_heads"), row.whole("num_key_value_heads"), row.whole("head_dim")
    queries = 1 if decode else row.whole("isl")
    keys = row.whole("isl") + row.whole("step")
    record = {"kind": "attention", "batch": row.whole("batch_size"), "q": queries, "kv": keys, "heads": heads,
              "kv_heads": kv_heads, "qk_dim": width, "v_dim": width, "values_are_keys": False}
    if row.text("kv_cache_dtype") != "bfloat16":
        record["cache"] = row.dtype("kv_cache_dtype")
    return record | {"launch": "graph"}


def mla_row(row):
    """DeepSeek's MLA in its absorbed form, which SGLang on Hopper measures: one latent of 512 + 64 values a token."""
    length = row.whole("isl")
    record = {"kind": "attention", "batch": row.whole("batch_size"), "q": length, "kv": length + row.whole("step"),
              "heads": row.whole("num_heads"), "kv_heads": 1, "qk_dim": 576, "v_dim": 512, "values_are_keys": True}
    if row.text("kv_cache_dtype") != "bfloat16":
        record["cache"] = row.dtype("kv_cache_dtype")
    return record | {"launch": "graph"}


def nccl_row(row):
    op = {"alltoall": "all_to_all"}.get(row.text("op_name"), row.text("op_name"))
    size = row.whole("message_size") * row.element_bytes("nccl_dtype")
    # nccl-tests issues calls back to back, so that launches hide behind the call before.
    return collective(op, row.whole("num_gpus"), size) | {"dtype": row.text("nccl_dtype"), "launch": "graph"}


def custom_allreduce_row(row):
    size = row.whole("message_size") * row.element_bytes("allreduce_dtype")
    library, _, launch = row.text("kernel_source").rpartition("_")
    return collective("all_reduce", row.whole("num_gpus"), size) | {"library": library, "launch": launch}


def deepep_row(row):
    low = "dispatch_avg_t_us" in row.values
    head = {"kind": "deepep", "mode": "low_latency" if low else "normal", "ranks": 8 * row.whole("node_num"),
            "tokens": row.whole("num_token"), "hidden": row.whole("hidden_size"), "topk": row.whole("num_topk"),
            "experts": row.whole("num_experts")}
    records = []
    for op in ("dispatch", "combine"):
        record = {"kind": "deepep", "op": op} | head
        if not low:
            record["sms"] = row.whole(op + "_sms")
            record["notify_us"] = row.time(op + "_notify_us", 1, allow_zero=True)
        time = row.time(op + ("_avg_t_us" if low else "_transmit_us"), 1)
        records.append((record | {"launch": "graph"}, time))
    return records


# Columns that tell a table, and what reads a row.
AICONFIGURATOR = [
    ({"gemm_dtype", "m", "n", "k", "latency"}, gemm_row),
    ({"moe_dtype", "num_tokens", "inter_size", "distribution", "latency"}, moe_row),
    ({"attn_dtype", "num_key_value_heads", "isl", "step", "latency"}, attention_row),
    ({"mla_dtype", "num_heads", "isl", "step", "latency"}, mla_row),
    ({"nccl_dtype", "op_name", "message_size", "num_gpus", "latency"}, nccl_row),
    ({"allreduce_dtype", "message_size", "num_gpus", "latency"}, custom_allreduce_row),
    ({"num_token", "num_topk", "dispatch_avg_t_us", "combine_avg_t_us"}, deepep_row),
    ({"num_token", "num_topk", "dispatch_transmit_us", "combine_transmit_us"}, deepep_row),
]
DTYPES = {"bfloat16": "bf16", "float16": "fp16", "fp8": "fp8", "fp8_block": "fp8", "half": "fp16", "int8": "int8"}
ELEMENT_BYTES = {"half": 2, "bfloat16": 2, "float16": 2, "int8": 1, "fp8": 1, "float": 4}


class Row:
    """One row of a table; what is wrong with it becomes a fault, and a value of 1 stands for it."""

    def __init__(self, path, line, values, faults):
        self.path, self.line, self.values, self.faults = path, line, values, faults

    def fault(self, message):
        self.faults.add(self.path, self.line, message)

    def text(self, column):
        return self.values.get(column) or ""

    def whole(self, column):
        value = whole(self.text(column))
        if value is None or value < 0:
            self.fault(f"{column}: {self.text(column)!r} is not a whole number of at least 0")
            return 1
        return value

    def time(self, column, factor, allow_zero=False):
        value = number(self.text(column))
        if value is None or value < 0 or (value == 0 and not allow_zero):
            self.fault(f"{column}: {self.text(column)!r} is not a time above 0")
            return 1.0
        return microseconds(value * factor)

    def named(self, column, values):
        if self.text(column) not in values:
            self.fault(f"{column}: {self.text(column)!r} is none of {', '.join(values)}")
        return values.get(self.text(column), next(iter(values.values())))

    def dtype(self, column):
        return self.named(column, DTYPES)

    def element_bytes(self, column):
        return self.named(column, ELEMENT_BYTES)


def read_table(path, faults):
    text = read_text(path, faults)
    if text is None:
        return [], []
    reader = csv.DictReader(text.splitlines())
    rows = []
    try:
        for values in reader:
            if None in values or None in values.values():
                faults.add(path, reader.line_num, f"as many columns as the heading's {len(reader.fieldnames)} are needed")
            else:
                rows.append(Row(path, reader.line_num, values, faults))
    except csv.Error as error:
        faults.add(path, reader.line_num, f"not CSV: {error}")
        return [], []
    if not reader.fieldnames or not rows:
        faults.add(path, 0, "a table without rows")
    return reader.fieldnames or [], rows


def chosen_rows(path, columns, rows, options, faults):
    """Rows that --where keeps; --every takes its part later, of records."""
    conditions = {}
    for condition in options.where:
        column, equals, values = condition.partition("=")
        if not equals or column not in columns:
            faults.add(path, 0, f"--where {condition}: the table has no column {column!r} (it has {', '.join(columns)})")
        conditions[column] = set(values.split(","))
    return [row for row in rows if all(row.text(column) in values for column, values in conditions.items())]


def add_sample(samples, record, time):
    key = json.dumps(record)
    if key not in samples:
        samples[key] = record | {"samples_us": []}
    samples[key]["samples_us"].append(time)


def every_nth(samples, options):
    return [record for place, record in enumerate(samples.values()) if place % options.every == 0]


def import_aiconfigurator(options, faults):
    result = Result()
    for path in options.files:
        columns, rows = read_table(path, faults)
        read = next((read for needed, read in AICONFIGURATOR if needed <= set(columns)), None)
        if read is None:
            if columns:
                faults.add(path, 1, f"no table of aiconfigurator that moesim knows has the columns {', '.join(columns)}")
            continue
        samples = {}
        for row in chosen_rows(path, columns, rows, options, faults):
            if read is deepep_row:
                for record, time in read(row):
                    add_sample(samples, record, time)
            else:
                add_sample(samples, read(row), row.time("latency", 1e3))
        result.records += every_nth(samples, options)
    result.machine["origin"] = "aiconfigurator"
    return result


def import_vidur(options, faults):
    result = Result()
    for path in options.files:
        columns, rows = read_table(path, faults)
        median = next((name for name in columns if re.fullmatch(r"time_stats\.\w+\.median", name)), None)
        needed = {"num_workers", "size", "collective", "devices_per_node"}
        if columns and (median is None or not needed <= set(columns)):
            faults.add(path, 1, f"not a table of vidur's collectives: its columns are {', '.join(columns)}")
            continue
        samples = {}
        for row in chosen_rows(path, columns, rows, options, faults):
            ranks, on_node = row.whole("num_workers"), max(row.whole("devices_per_node"), 1)
            op = row.named("collective", {"all_reduce": "all_reduce", "send_recv": "send_receive"})
            add_sample(samples, collective(op, ranks, row.whole("size"), -(-ranks // on_node)) | {"launch": "graph"},
                       row.time(median, 1e3))
        result.records += every_nth(samples, options)
    result.machine["origin"] = "vidur"
    return result


# --- Writing -----------------------------------------------------------------------------------------------------

def measurement_file(options, result):
    """The text of the file: a record a line, so that differences of two files can be read."""
    names = [os.path.basename(path) for path in options.files]
    head = {
        "format": "moesim-bench", "format_version": 1,
        "command": " ".join(["import_measurements.py", options.source, *names, *options.settings]),
        "device": options.device or result.device or "unknown",
        "world": max([record.get("ranks", 1) for record in result.records], default=1),
        "machine": {"imported_from": options.source} | result.machine | ({"note": options.note} if options.note else {}),
        "checks": [],
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    records = ",\n".join("    " + json.dumps(record) for record in result.records)
    return "{\n" + "\n".join(lines) + '\n  "records": [\n' + records + "\n  ]\n}\n"


def write_atomically(path, text):
    """Whole or not at all, whatever stops it."""
    folder = os.path.dirname(path) or "."
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".import-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def parser():
    top = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    sources = top.add_subparsers(dest="source", required=True, metavar="SOURCE")

    def source(name, read, text, more):
        sub = sources.add_parser(name, help=text, description=text, epilog=EXAMPLES,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.add_argument("files", nargs="+", metavar="FILE", help="logs or tables; .gz is read as it is; - is standard input")
        sub.add_argument("-o", "--output", metavar="FILE", help="measurement file to write; standard output unless given")
        sub.add_argument("--device", default="", help="the GPU as its driver names it, such as 'NVIDIA H100 80GB HBM3'")
        sub.add_argument("--note", default="", help="where the measurements come from, and under which licence")
        for flags, settings in more:
            sub.add_argument(*flags, **settings)
        sub.set_defaults(read=read)

    ranks = (["--ranks"], {"type": positive, "help": "ranks that ran, where the log does not say"})
    table = [(["--where"], {"action": "append", "default": [], "metavar": "COLUMN=VALUE[,VALUE...]",
                            "help": "only rows with one of these values; may be repeated"}),
             (["--every"], {"type": positive, "default": 1, "metavar": "N", "help": "only each N-th record, from the first"})]
    sizes = [([f"--{name}"], {"type": positive, "help": f"{text}, where the log does not say"}) for name, text in
             (("tokens", "tokens a rank"), ("hidden", "width of a token"), ("topk", "experts of a token"), ("experts", "experts"))]
    source("nccl-tests", import_nccl_tests, "logs of all_reduce_perf, alltoall_perf, all_gather_perf, reduce_scatter_perf, sendrecv_perf",
           [ranks, (["--op"], {"choices": sorted(NCCL_TESTS), "default": "", "help": "the test, where the log does not name it"})])
    source("perftest", import_perftest, "logs of ib_write_bw, ib_read_bw, ib_send_bw, ib_write_lat, ib_read_lat, ib_send_lat", [])
    source("deepep", import_deepep, "logs of DeepEP's test_intranode.py, test_internode.py, test_low_latency.py", [ranks, *sizes])
    source("aiconfigurator", import_aiconfigurator, "tables of aiconfigurator's database", table)
    source("vidur", import_vidur, "tables of vidur's collectives", table)
    return top


def settings_of(options):
    """Options that decide what the file holds, for its `command`."""
    settings = []
    for name in ("op", "ranks", "tokens", "hidden", "topk", "experts", "device", "note"):
        if getattr(options, name, None):
            settings += [f"--{name}", shlex.quote(str(getattr(options, name)))]
    for condition in getattr(options, "where", []):
        settings += ["--where", shlex.quote(condition)]
    if getattr(options, "every", 1) != 1:
        settings += ["--every", str(options.every)]
    return settings


def main():
    options = parser().parse_args()
    options.settings = settings_of(options)
    faults = Faults()
    result = options.read(options, faults)
    if not faults.lines and not result.records:
        faults.add(options.files[0], 0, "nothing is left to import")
    if faults.lines:
        print(f"{len(faults.lines)} fault{'' if len(faults.lines) == 1 else 's'}; nothing was written", file=sys.stderr)
        for line in faults.lines[:FAULTS_SHOWN_MAX]:
            print("  " + line, file=sys.stderr)
        if len(faults.lines) > FAULTS_SHOWN_MAX:
            print(f"  and {len(faults.lines) - FAULTS_SHOWN_MAX} more", file=sys.stderr)
        return 2
    text = measurement_file(options, result)
    try:
        if options.output:
            write_atomically(options.output, text)
        else:
            sys.stdout.write(text)
    except OSError as error:
        print(f"{options.output}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
