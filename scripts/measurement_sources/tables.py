"""Tables of aiconfigurator and vidur: CSV, also compressed."""

import csv
import json
import re

from measurement_sources.common import Result, collective, microseconds, number, read_text, whole


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
