"""The suite of kernels: GEMMs, attention, small operations, copies, and what overlaps."""
import statistics

import torch
import torch.distributed as dist
import torch.nn.functional as F

from .bench import MIB
from .moe_layer import grouped_mm, rms_norm


def gemm_record(bench, m, n, k):
    bench.arena.reset()
    x = torch.randn(m, k, dtype=torch.bfloat16, device=bench.device)
    weights = [bench.arena.cut(k, n) for _ in range(8)]
    us = bench.median(lambda: x @ weights[0], target_ms=15.0)
    each = bench.graph_each([lambda w=w: x @ w for w in weights])
    return {"kind": "gemm_bf16", "m": m, "n": n, "k": k, "us": us, "graph_us": each}


def grouped_record(bench, counts, n, k, uneven):
    """Even groups have the record that other files have; uneven ones name their counts."""
    bench.arena.reset()
    groups, rows = len(counts), sum(counts)
    bench.need(2 * rows * (k + 9 * n))
    x = torch.randn(rows, k, dtype=torch.bfloat16, device=bench.device)
    copies = 3
    if bench.options.weights == "kn":
        weights = [bench.arena.cut(groups, k, n) for _ in range(copies)]
    else:
        weights = [bench.arena.cut(groups, n, k).transpose(1, 2) for _ in range(copies)]
    offsets = torch.tensor(counts, device=bench.device).cumsum(0).to(torch.int32)
    us = bench.median(lambda: grouped_mm(x, weights[0], offsets), target_ms=15.0)
    each = bench.graph_each([lambda w=w: grouped_mm(x, w, offsets) for w in weights])
    if uneven:
        return {"kind": "grouped_gemm_counts_bf16", "counts": counts, "n": n, "k": k, "us": us, "graph_us": each}
    return {"kind": "grouped_gemm_bf16", "groups": groups, "m_per_group": counts[0], "n": n, "k": k, "us": us,
            "graph_us": each}


def attention_record(bench, batch, q_tokens, kv, heads, kv_heads, size):
    bench.arena.reset()
    q = torch.randn(batch, heads, q_tokens, size, dtype=torch.bfloat16, device=bench.device)
    caches = [[bench.arena.cut(batch, kv_heads, kv, size) for _ in range(2)] for _ in range(2)]

    def run(cache):
        return F.scaled_dot_product_attention(q, cache[0], cache[1], is_causal=q_tokens > 1,
                                              enable_gqa=heads != kv_heads)
    us = bench.median(lambda: run(caches[0]), target_ms=15.0)
    each = bench.graph_each([lambda c=c: run(c) for c in caches * 4])
    return {"kind": "attention_sdpa", "batch": batch, "q": q_tokens, "kv": kv, "heads": heads, "kv_heads": kv_heads,
            "head_dim": size, "us": us, "graph_us": each}


def small_operations(bench, rows, width):
    """Name and run of the operations between GEMMs, each over buffers that rotate."""
    device, half = bench.device, torch.bfloat16
    bench.arena.reset()
    buffers = max(1, min(8, int(512 * MIB // (rows * width * 2))))
    xs = [bench.arena.cut(rows, width) for _ in range(buffers)]
    wides = [bench.arena.cut(rows, 2 * width) for _ in range(buffers)]
    outs = [torch.empty(rows, width, dtype=half, device=device) for _ in range(buffers)]
    shuffled = torch.randperm(rows, device=device)
    eighth = max(1, rows // 8)
    token = torch.randint(eighth, (rows,), device=device)
    sums = [torch.zeros(eighth, width, dtype=half, device=device) for _ in range(buffers)]
    factors = torch.rand(rows, 1, device=device).to(half)
    ones = torch.ones(width, dtype=half, device=device)
    scores = torch.randn(rows, 128, dtype=half, device=device)
    probabilities = torch.softmax(scores, -1, dtype=torch.float32)
    return {
        "gather": lambda i: xs[i].index_select(0, shuffled),
        "gather_tokens": lambda i: xs[i].index_select(0, token),  # each row about eight times, as a permute does
        "index_copy": lambda i: outs[i].index_copy_(0, shuffled, xs[i]),
        "index_add": lambda i: sums[i].index_add_(0, token, xs[i]),
        "scale_rows": lambda i: xs[i] * factors,
        "silu": lambda i: F.silu(wides[i][:, :width]),
        "mul": lambda i: outs[i] * wides[i][:, width:],
        "silu_mul": lambda i: F.silu(wides[i][:, :width]) * wides[i][:, width:],
        "add": lambda i: xs[i] + outs[i],
        "zeros": lambda i: torch.zeros(rows, width, dtype=half, device=device),
        "rms_norm": lambda i: rms_norm(bench, xs[i], ones),
        "softmax": lambda i: torch.softmax(scores, -1, dtype=torch.float32),
        "topk": lambda i: torch.topk(probabilities, 8, -1),
        "normalise": lambda i: probabilities[:, :8] / probabilities[:, :8].sum(-1, keepdim=True),
    }, buffers


def operation_records(bench, rows, width):
    bench.need(2 * 30 * rows * width)
    operations, buffers = small_operations(bench, rows, width)
    records = []
    for name, run in operations.items():
        if name in ("softmax", "topk", "normalise") and width != 2048:
            continue  # These do not depend on the width: 128 experts, of which 8.
        us = bench.graph_each([lambda i=i: run(i % buffers) for i in range(20)])
        records.append({"kind": "op_graph", "op": name, "rows": rows,
                        "width": 128 if name in ("softmax", "topk", "normalise") else width, "copies": 20, "us": us})
    return records


def copy_records(bench, size):
    host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    here, there = (torch.empty(size, dtype=torch.uint8, device=bench.device) for _ in range(2))
    how = {"target_ms": 15.0}
    return [{"kind": "copy_d2d", "bytes": size, "us": bench.median(lambda: there.copy_(here), **how)},
            {"kind": "copy_h2d_pinned", "bytes": size, "ranks": bench.world,
             "us": bench.median(lambda: here.copy_(host, non_blocking=True), **how)},
            {"kind": "copy_d2h_pinned", "bytes": size, "ranks": bench.world,
             "us": bench.median(lambda: host.copy_(here, non_blocking=True), **how)}]


def launch_record(bench):
    x = torch.zeros(16, device=bench.device)

    def hundred():
        for _ in range(100):
            x.add_(1.0)
    graph_us = statistics.median(bench.graph_times(hundred))
    return {"kind": "launch_100_small_kernels", "us": bench.median(hundred), "graph_us": graph_us}


def overlap_record(bench):
    """A grouped GEMM that fills the GPU, beside an all-to-all and beside a copy from the host."""
    bench.arena.reset()
    groups, rows, n, k, size, copied = 8, 4096, 28672, 4096, 512 * MIB, 128 * MIB
    x = torch.randn(groups * rows, k, dtype=torch.bfloat16, device=bench.device)
    weights = bench.arena.cut(groups, k, n)
    offsets = torch.arange(1, groups + 1, device=bench.device, dtype=torch.int32) * rows
    host = torch.empty(copied, dtype=torch.uint8, pin_memory=True)
    here = torch.empty(copied, dtype=torch.uint8, device=bench.device)
    source, target = (torch.empty(size // 2, dtype=torch.bfloat16, device=bench.device) for _ in range(2))
    other = torch.cuda.Stream()

    def gemm():
        return grouped_mm(x, weights, offsets)

    def both(second):
        def run():
            other.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(other):
                second()
            gemm()
            torch.cuda.current_stream().wait_stream(other)
        return run

    def copy():
        here.copy_(host, non_blocking=True)

    def exchange():
        dist.all_to_all_single(target, source)
    many = bench.world > 1
    return {"kind": "overlap", "gemm_us": bench.median(gemm), "a2a_us": bench.median(exchange) if many else None,
            "a2a_bytes_per_rank": size, "gemm_and_a2a_us": bench.median(both(exchange)) if many else None,
            "copy_us": bench.median(copy), "copy_bytes": copied, "gemm_and_copy_us": bench.median(both(copy)),
            "gemm": {"groups": groups, "m_per_group": rows, "n": n, "k": k}}


def zipf_counts(groups, rows, skew):
    shares = [(1 + group * 7 % groups) ** -skew for group in range(groups)]
    return [int(rows * share / sum(shares)) for share in shares]


def kernel_cases(bench):
    cases = [("100 launches", lambda: launch_record(bench))]
    for rows in (16, 128, 1024, 4096, 16384, 65536):
        for width in (2048, 4096):
            cases.append((f"operations {rows} x {width}", lambda rows=rows, width=width:
                          operation_records(bench, rows, width)))
    for d, f, experts in ((2048, 768, 128), (3584, 2560, 64), (4096, 6400, 16), (2048, 1408, 64), (4096, 14336, 8)):
        for m in (1, 16, 64, 128, 160, 256, 512, 1024):
            if experts * m > 65536:
                continue
            for n, k in ((2 * f, d), (d, f)):
                cases.append((f"grouped GEMM {experts} x {m} x {n} x {k}", lambda experts=experts, m=m, n=n, k=k:
                              grouped_record(bench, [m] * experts, n, k, False)))
        for rows in (512, 8192, 32768):
            cases.append((f"uneven grouped GEMM {experts} x {rows}", lambda experts=experts, rows=rows, f=f, d=d:
                          grouped_record(bench, zipf_counts(experts, rows, 1.0), 2 * f, d, True)))
    for n, k in ((6144, 4096), (5120, 2048), (2048, 4096), (2048, 2048), (128, 2048), (8, 4096), (4608, 3584)):
        for m in (4, 32, 128, 512, 2048, 8192):
            cases.append((f"GEMM {m} x {n} x {k}", lambda m=m, n=n, k=k: gemm_record(bench, m, n, k)))
    for heads, kv_heads, size in ((16, 16, 128), (32, 4, 128), (28, 4, 128), (32, 8, 128), (24, 8, 64)):
        for batch, q, kv in ((1, 512, 512), (1, 1024, 1024), (1, 4096, 4096), (1, 8192, 8192), (4, 1, 1024),
                             (32, 1, 1024), (64, 1, 4096), (128, 1, 1024), (256, 1, 2048)):
            cases.append((f"attention {batch} x {q} of {kv}, {heads}/{kv_heads} heads",
                          lambda batch=batch, q=q, kv=kv, heads=heads, kv_heads=kv_heads, size=size:
                          attention_record(bench, batch, q, kv, heads, kv_heads, size)))
    cases.append(("overlap", lambda: overlap_record(bench)))
    for power in range(10, 29, 3):
        cases.append((f"copies of {1 << power} bytes", lambda power=power: copy_records(bench, 1 << power)))
    return cases
