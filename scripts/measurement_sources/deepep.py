"""Logs of DeepEP's own tests: intranode, internode and low latency."""

import re

from measurement_sources.common import Result, read_text


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
