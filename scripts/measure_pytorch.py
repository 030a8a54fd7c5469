#!/usr/bin/env python3
"""Measures what one Mixture-of-Experts layer costs in PyTorch, part by part and whole, on 1 to N GPUs of one host.

Writes one JSON file that `moesim calibrate` and `moesim validate` read. Needs PyTorch 2.8 or later with CUDA, and
NCCL for more than one GPU. Suites: steps (blocks of a model, eager and as a CUDA graph), layers (one MoE layer, phase
by phase), kernels (GEMMs, attention, small operations, copies), collectives (NCCL; 2 GPUs and more), offload (experts
in host memory or on the CPU; 1 GPU). docs/measuring-pytorch.md says what each record holds.

examples:
  measure_pytorch.py --out mine.json                                   all GPUs, all suites, four minutes at most
  measure_pytorch.py --gpus 1 --budget 60 --out quick.json             one minute, one GPU
  measure_pytorch.py --suite steps --models olmoe-1b-7b --layers 16 --out steps.json
  measure_pytorch.py --suite layers --tokens 16,1024,8192 --skew 0,1 --out layers.json
  measure_pytorch.py --out again.json --compare mine.json              prints how much the two files differ

Ctrl-C ends after the record in hand and keeps what was measured. Progress goes to stderr.
"""
import argparse
import contextlib
import datetime
import gc
import json
import math
import multiprocessing
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import traceback

# name: (hidden, expert intermediate, experts, top-k, heads, KV heads, head size, layers that a step measures).
# Shapes as the models' public configurations give them; shared experts and MLA are left out, as the format has neither.
MODELS = {
    "mixtral-8x7b": (4096, 14336, 8, 2, 32, 8, 128, 6),
    "olmoe-1b-7b": (2048, 1024, 64, 8, 16, 16, 128, 16),
    "qwen3-30b-a3b": (2048, 768, 128, 8, 32, 4, 128, 12),
    "deepseek-v2-lite": (2048, 1408, 64, 6, 16, 16, 128, 12),
    "qwen2-57b-a14b": (3584, 2560, 64, 8, 28, 4, 128, 7),
    "phi-3.5-moe": (4096, 6400, 16, 2, 32, 8, 128, 8),
    "granite-3-moe-3b": (1536, 512, 40, 8, 24, 8, 64, 16),
    "gpt-oss-20b": (2880, 2880, 32, 4, 64, 8, 64, 8),
    "llama-4-scout": (5120, 8192, 16, 1, 40, 8, 128, 4),
    "qwen3-235b-a22b": (4096, 1536, 128, 8, 64, 4, 128, 4),
    "dbrx": (6144, 10752, 16, 4, 48, 8, 128, 3),
    "mixtral-8x22b": (6144, 16384, 8, 2, 48, 8, 128, 4),
    "glm-4.5-air": (4096, 1408, 128, 8, 96, 8, 128, 4),
    "moonlight-16b": (2048, 1408, 64, 6, 16, 16, 128, 12),
    "ernie-4.5-21b": (2560, 1536, 64, 6, 20, 4, 128, 12),
    "gpt-oss-120b": (2880, 2880, 128, 4, 64, 8, 64, 4),
    "grok-1": (6144, 32768, 8, 2, 48, 8, 128, 2),
    "deepseek-v3-slice": (7168, 2048, 256, 8, 128, 128, 128, 1),
}
STEP_MODELS = ["olmoe-1b-7b", "mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v2-lite", "qwen2-57b-a14b", "phi-3.5-moe",
               "granite-3-moe-3b", "gpt-oss-20b", "ernie-4.5-21b", "llama-4-scout"]
LAYER_MODELS = ["mixtral-8x7b", "olmoe-1b-7b", "qwen3-30b-a3b", "deepseek-v2-lite", "qwen2-57b-a14b", "phi-3.5-moe",
                "granite-3-moe-3b", "gpt-oss-20b", "llama-4-scout", "qwen3-235b-a22b", "dbrx", "mixtral-8x22b",
                "ernie-4.5-21b", "glm-4.5-air", "gpt-oss-120b", "grok-1", "deepseek-v3-slice"]
# The models that files of other machines hold: two sizes are enough to see whether this machine agrees.
REFERENCE_MODELS = ("olmoe-1b-7b", "mixtral-8x7b")
OFFLOAD_MODELS = ["qwen3-30b-a3b", "olmoe-1b-7b", "phi-3.5-moe", "mixtral-8x7b"]
SUITES = ["steps", "layers", "kernels", "collectives", "offload"]
SHARES = {"steps": 0.42, "layers": 0.30, "kernels": 0.12, "collectives": 0.10, "offload": 0.06}
ARENA_SHARE = 0.45  # of the GPU's memory: weights and KV cache; the rest is for activations and graphs
MIB = 1 << 20

stop_asked = False


def ask_to_stop(*_):
    global stop_asked
    stop_asked = True


def note(text):
    print(text, file=sys.stderr, flush=True)


def import_torch():
    """Late, so that --help and wrong options answer at once."""
    global torch, dist, F
    try:
        import torch as torch_module
        import torch.distributed as dist_module
        import torch.nn.functional as functional_module
    except ImportError as error:
        sys.exit(f"measure_pytorch: PyTorch is needed: {error}")
    torch, dist, F = torch_module, dist_module, functional_module


class Skipped(Exception):
    """A record that this machine cannot make, foreseen: too little memory, experts that do not divide."""


class Arena:
    """One block of random bf16 numbers, from which weights and caches are cut: making them costs nothing."""

    def __init__(self, elements, device, generator):
        self.block = torch.empty(elements, dtype=torch.bfloat16, device=device)
        for first in range(0, elements, 1 << 28):
            self.block[first:first + (1 << 28)].normal_(0.0, 0.02, generator=generator)
        self.used = 0

    def reset(self):
        self.used = 0

    def cut(self, *shape):
        elements = math.prod(shape)
        if self.used + elements > self.block.numel():
            raise Skipped(f"weights and caches need more than {self.block.numel() * 2 / 2**30:.0f} GiB")
        view = self.block[self.used:self.used + elements].view(*shape)
        self.used += (elements + 1023) // 1024 * 1024
        return view


class Bench:
    """Everything one rank needs: the device, the clock of repetitions, and where the records go."""

    def __init__(self, options, rank, world):
        self.options, self.rank, self.world = options, rank, world
        self.device = torch.device("cuda", rank)
        torch.cuda.set_device(self.device)
        self.started = time.monotonic()
        self.records, self.failures, self.skipped = [], [], []
        self.saved_at = self.said_at = self.started
        self.side = torch.cuda.Stream()
        self.generator = torch.Generator(device=self.device)
        self.generator.manual_seed(options.seed)
        memory = torch.cuda.get_device_properties(self.device).total_memory
        self.arena = Arena(int(memory * ARENA_SHARE) // 2, self.device, self.generator)
        self.control = torch.zeros(2, device=self.device)

    def seconds(self):
        return time.monotonic() - self.started

    def agree(self, first, second=0.0):
        """The largest of what the ranks say, on every rank."""
        if self.world == 1:
            return float(first), float(second)
        self.control.copy_(torch.tensor([float(first), float(second)]))
        dist.all_reduce(self.control, op=dist.ReduceOp.MAX)
        return tuple(self.control.tolist())

    def together(self):
        """Lets the ranks start at one moment with empty queues, so that a repetition pays its launches."""
        if self.world > 1:
            dist.barrier()
        torch.cuda.synchronize()

    def times(self, run, target_ms=30.0, least=5, most=20, warm=2):
        """Repetitions in us: the largest over the ranks of each, and the median of each rank."""
        for _ in range(warm):
            run()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        self.together()
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        estimate, _ = self.agree(begin.elapsed_time(end))
        count = max(least, min(most, int(target_ms / max(estimate, 1e-3))))
        pairs = []
        for _ in range(count):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self.together()
            begin.record()
            run()
            end.record()
            pairs.append((begin, end))
        torch.cuda.synchronize()
        own = torch.tensor([begin.elapsed_time(end) * 1e3 for begin, end in pairs], device=self.device)
        if self.world == 1:
            return own.tolist(), [statistics.median(own.tolist())]
        every = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(every, own)
        rows = [row.tolist() for row in every]
        return [max(column) for column in zip(*rows)], [statistics.median(row) for row in rows]

    def median(self, run, **how):
        return statistics.median(self.times(run, **how)[0])

    def capture(self, run):
        """The calls of `run` as one CUDA graph. Free it with `release` before the next."""
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            run()
        torch.cuda.current_stream().wait_stream(self.side)
        self.together()
        graph = torch.cuda.CUDAGraph()
        # Not the global mode: the thread with which NCCL watches its collectives asks for events meanwhile.
        with torch.cuda.graph(graph, stream=self.side, capture_error_mode="thread_local"):
            run()
        self.together()
        return graph

    def graph_times(self, run, **how):
        graph = self.capture(run)
        try:
            return self.times(graph.replay, **how)[0]
        finally:
            torch.cuda.synchronize()
            graph.reset()

    def graph_each(self, runs):
        """us of one of `runs`, all captured in a row in one graph."""
        def all_of_them():
            for run in runs:
                run()
        return statistics.median(self.graph_times(all_of_them)) / len(runs)

    def need(self, bytes_needed):
        """Refuses what would not fit, the same on every rank: a rank that fails alone leaves the others waiting."""
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        missing, _ = self.agree(1.0 if bytes_needed > 0.85 * free else 0.0)
        if missing:
            raise Skipped(f"needs {bytes_needed / 2**30:.1f} GiB")

    def fail(self, suite, label, error):
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
        reason = f"{type(error).__name__} in lines {lines}: {(str(error).splitlines() or [''])[0]}"
        self.failures.append({"suite": suite, "case": label, "error": reason})
        note(f"rank {self.rank}: {suite}: {label}: {reason}")

    def say(self, label):
        now = time.monotonic()
        if self.rank == 0 and now - self.said_at > 2.0:
            self.said_at = now
            note(f"[{self.seconds():6.1f} s, {len(self.records)} records] {label}")

    def run_suite(self, suite, cases, until):
        """Runs cases in turn until they or the time end. A case makes one record, or a list of them."""
        for number, (label, case) in enumerate(cases):
            stop, late = self.agree(stop_asked, self.seconds() > until)
            if stop or late:
                if self.rank == 0:
                    note(f"{suite}: {'stopped' if stop else 'time is up'} after {number} of {len(cases)} cases")
                return
            self.say(f"{suite} {number + 1}/{len(cases)}: {label}")
            made, failed = None, None
            try:
                with torch.no_grad():
                    made = case()
            except Skipped as reason:
                self.skipped.append({"suite": suite, "case": label, "reason": str(reason)})
            except Exception as error:  # One record lost is better than all of them.
                failed = error
            any_failed, _ = self.agree(failed is not None)
            if any_failed:
                self.fail(suite, label, failed or RuntimeError("failed on another rank"))
                failed = None  # Its traceback keeps the tensors of the case alive.
                torch.cuda.empty_cache()
            elif made:
                self.records += made if isinstance(made, list) else [made]
            if time.monotonic() - self.saved_at > 5.0:
                self.save()

    def save(self):
        """Whole or not at all: written under another name, then renamed."""
        self.saved_at = time.monotonic()
        if self.rank != 0:
            return
        document = {
            "device": torch.cuda.get_device_name(0), "world": self.world,
            "torch": torch.__version__, "sm": torch.cuda.get_device_properties(0).multi_processor_count,
            "cpu": cpu_name(), "seconds": self.seconds(), "machine": self.options.machine,
            "seed": self.options.seed, "failures": self.failures, "skipped": self.skipped, "records": self.records,
        }
        path = pathlib.Path(self.options.out)
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(one_record_a_line(document), encoding="utf-8")
        os.replace(temporary, path)


def one_record_a_line(document):
    head = json.dumps({key: value for key, value in document.items() if key != "records"}, indent=1)
    records = ",\n".join("  " + json.dumps(record) for record in document["records"])
    return head[:-2] + ',\n "records": [\n' + records + "\n ]\n}\n"


def cpu_name():
    with contextlib.suppress(OSError):
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine_facts(arguments):
    facts = {"command": "measure_pytorch.py " + " ".join(arguments), "python": platform.python_version(),
             "kernel": platform.release(), "cores": os.cpu_count(), "cuda": torch.version.cuda,
             "environment": {key: value for key, value in sorted(os.environ.items()) if key.startswith("NCCL_")}}
    with contextlib.suppress(Exception):
        facts["nccl"] = ".".join(str(part) for part in torch.cuda.nccl.version())
    query = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"
    with contextlib.suppress(Exception):
        answer = subprocess.run(["nvidia-smi", "--query-gpu=" + query, "--format=csv,noheader"], timeout=20,
                                capture_output=True, text=True, check=True).stdout
        facts["nvidia_smi"] = {"query": query, "gpus": [line.strip() for line in answer.splitlines() if line.strip()]}
    return facts


def spread(values):
    """p90 over median: how far a repetition may lie off what is reported."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] / max(statistics.median(ordered), 1e-9), 4)


# ---- routing -------------------------------------------------------------------------------------------------------

def draw_experts(tokens, experts, top_k, skew, seed, device):
    """Expert ids [tokens, top_k]: without replacement, by a Zipf popularity over experts in random order."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    popularity = torch.arange(1, experts + 1, device=device, dtype=torch.float32).pow(-skew)
    popularity = popularity[torch.randperm(experts, generator=generator, device=device)]
    uniform = torch.rand(tokens, experts, generator=generator, device=device).clamp_(1e-20, 1.0 - 1e-7)
    # The k largest of log p + Gumbel noise are k draws without replacement.
    keys = popularity.log() - torch.log(-torch.log(uniform))
    return keys.topk(top_k, dim=-1).indices


class Routing:
    """Where the rows of one layer go, on this rank: indices and split sizes, all made before the clock runs."""

    def __init__(self, bench, experts, top_k, tokens, skew, seed):
        rank, world, device = bench.rank, bench.world, bench.device
        if experts % world:
            raise Skipped(f"{experts} experts on {world} ranks")
        local = experts // world
        ids = draw_experts(world * tokens, experts, top_k, skew, seed, device).view(world, tokens * top_k)
        counts = torch.stack([torch.bincount(row, minlength=experts) for row in ids])
        self.counts = counts.tolist()
        here = counts[:, rank * local:(rank + 1) * local]
        order = torch.argsort(ids[rank], stable=True)
        self.token = order // top_k
        self.send = counts[rank].view(world, local).sum(1).tolist()
        self.receive = here.sum(1).tolist()
        self.rows = sum(self.receive)
        self.rows_most = max(sum(sum(row[r * local:(r + 1) * local]) for row in self.counts) for r in range(world))
        expert_of_row = torch.arange(local, device=device).repeat(world).repeat_interleave(here.reshape(-1))
        self.by_expert = torch.argsort(expert_of_row, stable=True)
        self.by_source = torch.argsort(self.by_expert)  # the way back
        self.by_token = torch.argsort(order)
        self.offsets = here.sum(0).cumsum(0).to(torch.int32)
        generator = torch.Generator(device=device)
        generator.manual_seed(seed + 1)
        self.weights = torch.rand(tokens * top_k, 1, generator=generator, device=device).to(torch.bfloat16)


# ---- the parts of a layer ------------------------------------------------------------------------------------------

def grouped_mm(rows, weights, offsets):
    if rows.shape[0] == 0:
        return rows.new_empty(0, weights.shape[2])
    multiply = torch._grouped_mm if hasattr(torch, "_grouped_mm") else F.grouped_mm
    return multiply(rows, weights, offs=offsets)


def choose_layout(bench):
    """Takes the transposed layout where this PyTorch's grouped GEMM refuses the other."""
    if bench.options.weights == "nk":
        return
    rows, weights = bench.arena.cut(32, 64), bench.arena.cut(2, 64, 64)
    try:
        grouped_mm(rows, weights, torch.tensor([16, 32], dtype=torch.int32, device=bench.device))
        torch.cuda.synchronize()
    except RuntimeError as error:
        note(f"rank {bench.rank}: weights are [n, k]: {str(error).splitlines()[0]}")
        bench.options.weights = "nk"
    bench.arena.reset()


def rms_norm(bench, x, weight):
    if bench.options.norm == "fused":
        return F.rms_norm(x, (x.shape[-1],), weight, 1e-5)
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(torch.bfloat16) * weight


class MoeLayer:
    """The expert part of one block. The phases are those of the records, in their order."""

    def __init__(self, bench, shape):
        self.bench, (self.d, self.f, self.experts, self.top_k) = bench, shape
        local = self.experts // bench.world
        cut = bench.arena.cut
        self.router = cut(self.d, self.experts)
        if bench.options.weights == "kn":
            self.up, self.down = cut(local, self.d, 2 * self.f), cut(local, self.f, self.d)
        else:  # As nn.Linear keeps them: [n, k], read as transposed.
            self.up = cut(local, 2 * self.f, self.d).transpose(1, 2)
            self.down = cut(local, self.d, self.f).transpose(1, 2)

    def gate(self, x):
        scores = torch.softmax(x @ self.router, dim=-1, dtype=torch.float32)
        weights, ids = torch.topk(scores, self.top_k, dim=-1)
        return weights / weights.sum(-1, keepdim=True), ids

    def permute(self, x, routing):
        return x.index_select(0, routing.token)

    def exchange(self, rows, receive, send):
        if self.bench.world == 1:
            return rows
        out = torch.empty(sum(receive), rows.shape[1], dtype=rows.dtype, device=rows.device)
        dist.all_to_all_single(out, rows, receive, send)
        return out

    def dispatch(self, rows, routing):
        return self.exchange(rows, routing.receive, routing.send)

    def regroup(self, rows, routing):
        return rows.index_select(0, routing.by_expert)

    def run_experts(self, rows, routing):
        wide = grouped_mm(rows, self.up, routing.offsets)
        return grouped_mm(F.silu(wide[:, :self.f]) * wide[:, self.f:], self.down, routing.offsets)

    def ungroup(self, rows, routing):
        return torch.empty_like(rows).index_copy_(0, routing.by_expert, rows)

    def combine(self, rows, routing):
        return self.exchange(rows, routing.send, routing.receive)

    def unpermute(self, rows, routing, tokens):
        out = torch.zeros(tokens, self.d, dtype=rows.dtype, device=rows.device)
        return out.index_add_(0, routing.token, rows * routing.weights)

    def whole(self, x, routing):
        self.gate(x)  # Computed as a model does; the ids that are used are the recorded ones.
        rows = self.regroup(self.dispatch(self.permute(x, routing), routing), routing)
        rows = self.combine(self.ungroup(self.run_experts(rows, routing), routing), routing)
        return self.unpermute(rows, routing, x.shape[0])


    def whole_by_gathers(self, x, routing):
        """As models compute it, where whole() is as the phases are: rows come back by gathers, and a token's results
        are summed without atomics; one rank has its rows by expert already."""
        self.gate(x)
        rows = self.dispatch(self.permute(x, routing), routing)
        if self.bench.world > 1:
            rows = self.run_experts(rows.index_select(0, routing.by_expert), routing).index_select(0, routing.by_source)
        else:
            rows = self.run_experts(rows, routing)
        rows = self.combine(rows, routing).index_select(0, routing.by_token)
        return (rows.view(-1, self.top_k, self.d) * routing.weights.view(-1, self.top_k, 1)).sum(1)


def activation_bytes(rows_sent, rows_received, d, f, tokens):
    return 2 * (rows_sent * d * 4 + rows_received * (4 * d + 5 * f) + tokens * d * 6)


# ---- layers --------------------------------------------------------------------------------------------------------

def layer_record(bench, model, layer, tokens, skew):
    d, f, experts, top_k = MODELS[model][:4]
    seed = bench.options.seed
    routing = Routing(bench, experts, top_k, tokens, skew, seed)
    bench.need(activation_bytes(tokens * top_k, routing.rows_most, d, f, tokens))
    x = torch.randn(tokens, d, dtype=torch.bfloat16, device=bench.device)
    permuted = layer.permute(x, routing)
    arrived = layer.dispatch(permuted, routing)
    grouped = layer.regroup(arrived, routing)
    results = layer.run_experts(grouped, routing)
    ungrouped = layer.ungroup(results, routing)
    returned = layer.combine(ungrouped, routing)
    phases = {
        "gate": lambda: layer.gate(x), "permute": lambda: layer.permute(x, routing),
        "dispatch": lambda: layer.dispatch(permuted, routing), "regr": lambda: layer.regroup(arrived, routing),
        "experts": lambda: layer.run_experts(grouped, routing), "unregr": lambda: layer.ungroup(results, routing),
        "combine": lambda: layer.combine(ungrouped, routing),
        "unpermute": lambda: layer.unpermute(returned, routing, tokens), "layer": lambda: layer.whole(x, routing),
    }
    us, spreads, per_rank = {}, {}, []
    for name, run in phases.items():
        values, ranks = bench.times(run, target_ms=40.0 if name in ("experts", "layer") else 10.0)
        us[name], spreads[name] = statistics.median(values), spread(values)
        if name == "experts":
            per_rank = ranks
    record = {"kind": "moe_layer", "model": model, "d": d, "f": f, "E": experts, "k": top_k,
              "tokens_per_rank": tokens, "skew": skew, "seed": seed, "counts_src_expert": routing.counts, "us": us,
              "experts_us_per_rank": per_rank, "spread": spreads}
    for name in ("experts", "layer") if bench.options.graphs else ():
        try:
            record[f"{name}_graph_us"] = statistics.median(bench.graph_times(phases[name]))
        except RuntimeError as error:  # What was measured without a graph is worth keeping.
            bench.fail("layers", f"{model}, {tokens} tokens, {name} as a graph", error)
    return record


def layer_cases(bench):
    options, cases = bench.options, []
    for model in chosen_models(options, LAYER_MODELS):
        sizes = [(tokens, skew) for tokens in (8192, 1024, 128, 4096, 16) for skew in (0.0, 1.0)]
        sizes += [(2048, 0.5), (512, 0.5), (16384, 0.0)]
        if model in REFERENCE_MODELS:
            sizes = sizes[:4] + sizes[-3:]
        if options.tokens or options.skew:
            sizes = [(tokens, skew) for tokens in options.tokens or (16, 128, 1024, 4096, 8192)
                     for skew in options.skew or (0.0, 1.0)]
        cases += in_one_model(bench, model, sizes, build_layer, layer_record,
                              lambda size: f"{size[0]} tokens, skew {size[1]:g}")
    return cases


def build_layer(bench, model):
    if MODELS[model][2] % bench.world:
        raise Skipped(f"{MODELS[model][2]} experts on {bench.world} ranks")
    return MoeLayer(bench, MODELS[model][:4])


def in_one_model(bench, model, sizes, build, record, describe):
    """Cases that share the weights of a model: the first builds them, over those of the model before."""
    made = {}

    def case(size):
        if "it" not in made:
            gc.collect()
            bench.arena.reset()
            made["it"] = build(bench, model)
        return record(bench, model, made["it"], *size)
    return [(f"{model}, {describe(size)}", lambda size=size: case(size)) for size in sizes]


def chosen_models(options, usual):
    return options.models or usual


# ---- steps ---------------------------------------------------------------------------------------------------------

class Block:
    """Attention and experts of one layer."""

    def __init__(self, bench, model):
        d, f, experts, top_k, self.heads, self.kv_heads, self.size, _ = MODELS[model]
        self.bench = bench
        cut = bench.arena.cut
        self.qkv = cut(d, (self.heads + 2 * self.kv_heads) * self.size)
        self.out = cut(self.heads * self.size, d)
        self.norms = [torch.ones(d, dtype=torch.bfloat16, device=bench.device) for _ in range(2)]
        self.moe = MoeLayer(bench, (d, f, experts, top_k))

    def attention(self, x, cache):
        tokens, heads, kv_heads, size = x.shape[0], self.heads, self.kv_heads, self.size
        q, k, v = (x @ self.qkv).split([heads * size, kv_heads * size, kv_heads * size], dim=-1)
        if cache is None:  # One causal sequence.
            q, k, v = (part.unflatten(-1, (-1, size)).transpose(0, 1).unsqueeze(0) for part in (q, k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=tokens > 1, enable_gqa=heads != kv_heads)
            return mixed.squeeze(0).transpose(0, 1).reshape(tokens, heads * size) @ self.out
        q = q.unflatten(-1, (heads, size)).unsqueeze(2)
        mixed = F.scaled_dot_product_attention(q, cache[0], cache[1], enable_gqa=heads != kv_heads)
        return mixed.reshape(tokens, heads * size) @ self.out

    def run(self, x, cache, routing):
        x = x + self.attention(rms_norm(self.bench, x, self.norms[0]), cache)
        return x + self.moe.whole_by_gathers(rms_norm(self.bench, x, self.norms[1]), routing)


def build_blocks(bench, model):
    d, f, experts, _, heads, kv_heads, size, usual = MODELS[model]
    if experts % bench.world:
        raise Skipped(f"{experts} experts on {bench.world} ranks")
    layer_elements = experts // bench.world * 3 * d * f + d * ((2 * heads + 2 * kv_heads) * size + experts) + 8192
    cache_elements = 2 * 128 * 4096 * kv_heads * size + 8192  # the largest of the usual sizes
    fit = (bench.arena.block.numel() - cache_elements) // layer_elements
    layers = min(bench.options.layers or usual, fit)
    if layers < 1:
        raise Skipped("not one layer fits beside the cache")
    return [Block(bench, model) for _ in range(layers)]


def step_record(bench, model, blocks, phase, tokens, kv, skew):
    d, f, experts, top_k, heads, kv_heads, size, _ = MODELS[model]
    routings = [Routing(bench, experts, top_k, tokens, skew, bench.options.seed + 100 * number)
                for number in range(len(blocks))]
    bench.need(2 * activation_bytes(tokens * top_k, max(r.rows_most for r in routings), d, f, tokens))
    cache, used = None, bench.arena.used
    try:
        if phase == "decode":  # One cache for all layers: one for each would not fit. Each layer reads it whole.
            cache = [bench.arena.cut(tokens, kv_heads, kv, size) for _ in range(2)]
    finally:
        bench.arena.used = used
    x = torch.randn(tokens, d, dtype=torch.bfloat16, device=bench.device)

    def step():
        y = x
        for block, routing in zip(blocks, routings):
            y = block.run(y, cache, routing)
        return y
    eager, _ = bench.times(step, target_ms=100.0, most=12)
    graph = bench.graph_times(step, target_ms=100.0, most=12)
    return {"kind": "model_step", "model": model, "phase": phase, "layers": len(blocks), "d": d, "heads": heads,
            "kv_heads": kv_heads, "head_dim": size, "E": experts, "k": top_k, "f": f, "tokens_per_rank": tokens,
            "kv": kv, "skew": skew, "eager_us": statistics.median(eager), "eager_min_us": min(eager),
            "graph_us": statistics.median(graph), "graph_min_us": min(graph), "eager_spread": spread(eager),
            "graph_spread": spread(graph), "seed": bench.options.seed, "way_back": "gather",
            "counts_layer_src_expert": [routing.counts for routing in routings]}


def step_cases(bench):
    options, cases = bench.options, []
    usual = [("prefill", 2048, 2048), ("decode", 32, 1024), ("decode", 4, 1024), ("prefill", 8192, 8192),
             ("decode", 128, 1024), ("decode", 256, 2048), ("prefill", 512, 512)]
    more = [("prefill", 1024, 1024), ("decode", 64, 4096), ("prefill", 4096, 4096), ("decode", 16, 2048),
            ("decode", 128, 4096)]
    for model in chosen_models(options, STEP_MODELS):
        sizes = [(*size, skew) for size in usual for skew in (0.0, 0.8)] + [(*size, 0.8) for size in more]
        if model in REFERENCE_MODELS and not options.models:
            sizes = [("decode", 4, 1024, 0.0), ("prefill", 2048, 2048, 0.0), ("prefill", 1024, 1024, 0.8)]
        if options.tokens or options.skew:
            wanted = options.tokens or (512, 2048, 8192, 4, 32, 128)
            sizes = [("prefill", tokens, tokens, skew) for tokens in wanted if tokens >= 512
                     for skew in options.skew or (0.0, 0.8)]
            sizes += [("decode", tokens, 1024, skew) for tokens in wanted if tokens < 512
                      for skew in options.skew or (0.0, 0.8)]
        cases += in_one_model(bench, model, sizes, build_blocks, step_record,
                              lambda size: f"{size[0]} {size[1]} tokens, KV {size[2]}, skew {size[3]:g}")
    return cases


# ---- kernels -------------------------------------------------------------------------------------------------------

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


# ---- collectives ---------------------------------------------------------------------------------------------------

def exchange_matrices(world, size):
    """What each rank sends to each, in bytes: even, all sending most to rank 0, and rank 0 sending most."""
    unit = 512
    part = size // world // unit * unit
    even = [[part] * world for _ in range(world)]
    hot = int(0.75 * size) // unit * unit
    rest = (size - hot) // (world - 1) // unit * unit
    to_first = [[hot if target == 0 else rest for target in range(world)] for _ in range(world)]
    from_first = [[part if source == 0 else part // 4 // unit * unit for _ in range(world)] for source in range(world)]
    return {"even": even, "to_first": to_first, "from_first": from_first}


def collective_records(bench, size, in_graph):
    rank, world, device = bench.rank, bench.world, bench.device
    elements = size // 2
    source = torch.zeros(elements, dtype=torch.bfloat16, device=device)
    target = torch.zeros(elements * world, dtype=torch.bfloat16, device=device)  # rank 0 may be sent most by all
    share = elements // world
    copies = 10 if size <= 16 * MIB else 3

    def us(run):
        if not in_graph:
            return bench.median(run, target_ms=15.0)
        return bench.graph_each([run] * copies)

    def exchange(matrix):
        send = [matrix[rank][other] // 2 for other in range(world)]
        receive = [matrix[other][rank] // 2 for other in range(world)]
        return lambda: dist.all_to_all_single(target[:sum(receive)], source[:sum(send)], receive, send)

    def pass_on():
        if rank == 0:
            dist.send(source, 1)
        elif rank == 1:
            dist.recv(target[:elements], 0)
    tail = "_graph" if in_graph else ""
    records = []
    for name, matrix in exchange_matrices(world, size).items():
        record = {"kind": ("nccl_all_to_all" if name == "even" else "nccl_all_to_allv") + tail,
                  "bytes_per_rank": max(map(sum, matrix)), "us": us(exchange(matrix)), "send_bytes": matrix}
        records.append(record)
    records.append({"kind": "nccl_all_reduce" + tail, "bytes_per_rank": size, "us": us(
        lambda: dist.all_reduce(source))})
    records.append({"kind": "nccl_all_gather" + tail, "bytes_out": size, "us": us(
        lambda: dist.all_gather_into_tensor(target[:share * world], source[:share]))})
    records.append({"kind": "nccl_reduce_scatter" + tail, "bytes_in": size, "us": us(
        lambda: dist.reduce_scatter_tensor(target[:share], source[:share * world]))})
    if not in_graph:
        records.append({"kind": "nccl_send_recv", "bytes": size, "us": us(pass_on)})
    return records


def collective_cases(bench):
    if bench.world == 1:
        return []
    cases = []
    for power in (20, 24, 27, 16, 22, 25, 29, 18, 23, 26, 28, 17, 19, 21):
        for in_graph in (True, False) if power >= 25 or power % 4 == 0 else (True,):
            cases.append((f"{1 << power} bytes{' in a graph' if in_graph else ''}",
                          lambda power=power, in_graph=in_graph: collective_records(bench, 1 << power, in_graph)))
    return cases


# ---- offload and CPU -----------------------------------------------------------------------------------------------

class HostWeights:
    """Blocks of host memory that all models share, pinned and not: pinning takes longer than measuring."""

    def __init__(self, bench, elements):
        self.bench = bench
        self.pinned = torch.empty(elements, dtype=torch.bfloat16, pin_memory=True)
        self.plain = torch.empty(elements, dtype=torch.bfloat16)
        self.pinned.copy_(bench.arena.block[:elements])
        self.plain.copy_(bench.arena.block[:elements])

    @staticmethod
    def experts(block, count, d, f):
        """Flat weights of each expert; `run_expert` reads both matrices from them."""
        size = 3 * d * f
        return [block[number * size:(number + 1) * size] for number in range(count)]


def run_expert(x, flat, d, f):
    wide = x @ flat[:2 * f * d].view(2 * f, d).t()
    return (F.silu(wide[:, :f]) * wide[:, f:]) @ flat[2 * f * d:].view(d, f).t()


def host_times(run, least=5, most=12, target_s=0.12):
    run()
    run()
    values, began = [], time.perf_counter()
    while len(values) < least or (len(values) < most and time.perf_counter() - began < target_s):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        values.append((time.perf_counter() - start) * 1e6)
    return values


def offload_record(bench, hosts, model, tokens, hit, copy, cpu, threads):
    d, f = MODELS[model][:2]
    size = 3 * d * f
    torch.set_num_threads(threads)
    bench.arena.reset()
    resident = [bench.arena.cut(size) for _ in range(hit)]
    slots = [bench.arena.cut(size) for _ in range(copy)]
    pinned = hosts.experts(hosts.pinned, copy, d, f)
    on_cpu = hosts.experts(hosts.plain, cpu, d, f)
    x = torch.randn(tokens, d, dtype=torch.bfloat16, device=bench.device)
    x_cpu = torch.randn(tokens, d).to(torch.bfloat16)
    copier = torch.cuda.Stream()

    def gpu_part():
        done = []
        copier.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(copier):
            for slot, weights in zip(slots, pinned):
                slot.copy_(weights, non_blocking=True)
                done.append(copier.record_event())
        for weights in resident:
            run_expert(x, weights, d, f)
        for slot, event in zip(slots, done):
            torch.cuda.current_stream().wait_event(event)
            run_expert(x, slot, d, f)

    def cpu_part():
        for weights in on_cpu:
            run_expert(x_cpu, weights, d, f)

    def all_parts():
        gpu_part()
        cpu_part()
    record = {"kind": "offload_layer", "model": model, "d": d, "f": f, "tokens": tokens, "hit": hit, "copy": copy,
              "cpu": cpu, "threads": threads}
    for name, run in (("gpu", gpu_part), ("cpu", cpu_part), ("all", all_parts)):
        if name == "cpu" and cpu == 0:
            continue
        values = host_times(run)
        record[f"{name}_us"], record[f"{name}_min_us"] = statistics.median(values), min(values)
    return record


def cpu_expert_record(bench, hosts, model, tokens, threads):
    d, f = MODELS[model][:2]
    torch.set_num_threads(threads)
    weights = hosts.experts(hosts.plain, 1, d, f)[0]
    x = torch.randn(tokens, d).to(torch.bfloat16)
    return {"kind": "cpu_expert_bf16", "model": model, "d": d, "f": f, "m": tokens, "threads": threads,
            "us": statistics.median(host_times(lambda: run_expert(x, weights, d, f)))}


def offload_cases(bench):
    if bench.world > 1:
        return []
    models = chosen_models(bench.options, OFFLOAD_MODELS)
    made = {}

    def hosts():
        if "it" not in made:
            made["it"] = HostWeights(bench, max(4 * 3 * MODELS[model][0] * MODELS[model][1] for model in models))
        return made["it"]
    threads = bench.options.threads or [min(16, os.cpu_count() or 1)]
    cases = []
    for tokens in (1, 16, 64):
        for model in models:
            for count in threads:
                for hit, copy, cpu in ((8, 0, 0), (0, 4, 0), (0, 0, 4), (4, 2, 0), (4, 0, 2), (2, 2, 2), (2, 4, 2)):
                    cases.append((f"{model}, {tokens} tokens, {hit} hits, {copy} copies, {cpu} on the CPU",
                                  lambda model=model, tokens=tokens, hit=hit, copy=copy, cpu=cpu, count=count:
                                  offload_record(bench, hosts(), model, tokens, hit, copy, cpu, count)))
                cases.append((f"{model} expert on the CPU, {tokens} tokens",
                              lambda model=model, tokens=tokens, count=count:
                              cpu_expert_record(bench, hosts(), model, tokens, count)))
    return cases


# ---- the whole -----------------------------------------------------------------------------------------------------

CASES = {"steps": step_cases, "layers": layer_cases, "kernels": kernel_cases, "collectives": collective_cases,
         "offload": offload_cases}


def measure(options, rank, world):
    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)
    import_torch()
    if not torch.cuda.is_available() or torch.cuda.device_count() < world:
        sys.exit(f"measure_pytorch: {world} GPUs are asked for, PyTorch sees {torch.cuda.device_count()}")
    if not hasattr(torch, "_grouped_mm") and not hasattr(F, "grouped_mm"):
        sys.exit(f"measure_pytorch: PyTorch {torch.__version__} has no grouped GEMM; 2.8 or later is needed")
    torch.cuda.set_device(rank)
    if world > 1:
        # A rank that fails alone leaves the others in a collective: that ends them, and what was saved stays.
        dist.init_process_group("nccl", rank=rank, world_size=world, device_id=torch.device("cuda", rank),
                                timeout=datetime.timedelta(seconds=60))
    options.machine = machine_facts(options.arguments) if rank == 0 else {}
    bench = Bench(options, rank, world)
    choose_layout(bench)
    gc.collect()
    gc.freeze()
    gc.disable()  # A collection inside a repetition would be measured; it runs between models and graphs.
    suites = {suite: CASES[suite](bench) for suite in options.suite}
    suites = {suite: cases for suite, cases in suites.items() if cases}
    left, until = sum(SHARES[suite] for suite in suites), bench.seconds()
    for suite, cases in suites.items():
        # Its share of what is left: what a suite does not use goes to those after it.
        until = bench.seconds() + (options.budget - bench.seconds()) * SHARES[suite] / left
        left -= SHARES[suite]
        bench.run_suite(suite, cases, until)
        bench.save()
    bench.save()
    if rank == 0:
        note(f"{options.out}: {len(bench.records)} records, {len(bench.failures)} failed, "
             f"{len(bench.skipped)} skipped, {bench.seconds():.0f} s")
    if world > 1:
        bench.together()
        sys.stderr.flush()
        os._exit(0)  # All is saved. Tearing NCCL down can hang, and the GPUs are wanted back.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_ranks(options, world):
    """One process a GPU. Returns the first exit status that is not 0."""
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    os.environ["MASTER_PORT"] = str(free_port())
    signal.signal(signal.SIGINT, ask_to_stop)  # The ranks hear it too, and end in order.
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=measure, args=(options, rank, world)) for rank in range(world)]
    for process in ranks:
        process.start()
    ended_at, asked_at = None, None
    while any(process.is_alive() for process in ranks):
        for process in ranks:
            process.join(0.2)
        now = time.monotonic()
        if ended_at is None and any(process.exitcode is not None for process in ranks):
            ended_at = now
        if asked_at is None and stop_asked:
            asked_at = now
        # Whoever has not ended well after the first, or well after Ctrl-C, hangs in a collective.
        if (ended_at and now - ended_at > 15.0) or (asked_at and now - asked_at > 60.0):
            for process in ranks:
                if process.is_alive():
                    process.kill()
    return next((process.exitcode for process in ranks if process.exitcode), 0)


def gpus_here():
    import_torch()
    return torch.cuda.device_count()


IDENTITY = ("kind", "model", "phase", "layers", "tokens_per_rank", "tokens", "kv", "skew", "groups", "m_per_group", "m",
            "n", "k", "batch", "q", "heads", "kv_heads", "bytes", "bytes_per_rank", "bytes_out", "hit", "copy", "cpu",
            "threads")


def times_of(record):
    flat = {f"us.{key}": value for key, value in record["us"].items()} if isinstance(record.get("us"), dict) else {}
    flat.update({key: value for key, value in record.items()
                 if (key == "us" or key.endswith("_us")) and isinstance(value, (int, float))})
    return {key: value for key, value in flat.items() if "min" not in key}


def compare(path, other_path):
    """Prints this file over the other, for records that both hold, by kind and time: median, least and largest."""
    here, there = (json.loads(pathlib.Path(name).read_text(encoding="utf-8"))["records"] for name in (path, other_path))
    known = {tuple(str(record.get(key)) for key in IDENTITY): record for record in there}
    ratios = {}
    for record in here:
        other = known.get(tuple(str(record.get(key)) for key in IDENTITY))
        other_times = times_of(other) if other else {}
        for name, value in times_of(record).items():
            if other_times.get(name):
                ratios.setdefault((record["kind"], record.get("model", ""), name), []).append(value / other_times[name])
    for (kind, model, name), values in sorted(ratios.items()):
        print(f"{kind:20} {model:18} {name:14} n {len(values):3}  median {statistics.median(values):.3f}  "
              f"from {min(values):.3f} to {max(values):.3f}")
    if not ratios:
        print("the two files share no record")


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",") if part]


def names(known):
    def parse(text):
        parts = [part for part in text.split(",") if part]
        unknown = [part for part in parts if part not in known]
        if unknown or not parts:
            raise argparse.ArgumentTypeError(f"no such name: {', '.join(unknown)}; there are {', '.join(known)}")
        return parts
    return parse


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="pytorch.json", help="the file to write (%(default)s)")
    parser.add_argument("--gpus", type=int, help="how many, one process each (all that PyTorch sees)")
    parser.add_argument("--suite", type=names([*SUITES, "all"]), default=["all"], metavar="LIST",
                        help="of steps, layers, kernels, collectives, offload; all unless said")
    parser.add_argument("--models", type=names(MODELS), metavar="LIST", help="of " + ", ".join(MODELS))
    parser.add_argument("--tokens", type=numbers(int), metavar="LIST",
                        help="tokens a rank; in steps 512 and more are a prefill, fewer are a decode")
    parser.add_argument("--skew", type=numbers(float), metavar="LIST",
                        help="exponents of the experts' popularity; 0 is uniform")
    parser.add_argument("--layers", type=int,
                        help="layers of a step, as far as they fit (a usual number for each model)")
    parser.add_argument("--threads", type=numbers(int), metavar="LIST", help="CPU threads of the offload suite (16)")
    parser.add_argument("--budget", type=float, default=240.0,
                        help="seconds after which no record is begun (%(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="of the routing (%(default)s)")
    parser.add_argument("--weights", choices=["kn", "nk"], default="kn",
                        help="how experts' matrices lie in memory: [k, n], or transposed (%(default)s)")
    parser.add_argument("--norm", choices=["fused", "plain"], default="fused",
                        help="RMSNorm as one kernel or as several (%(default)s)")
    parser.add_argument("--no-graphs", dest="graphs", action="store_false", help="layers: eager only")
    parser.add_argument("--compare", metavar="FILE", help="then print this run over FILE, record by record of both")
    options = parser.parse_args()
    options.suite = SUITES if "all" in options.suite else [suite for suite in SUITES if suite in options.suite]
    options.arguments = sys.argv[1:]
    if options.budget <= 0 or (options.gpus is not None and options.gpus < 1):
        parser.error("--budget and --gpus must be above zero")
    if not pathlib.Path(options.out).resolve().parent.is_dir():
        parser.error(f"--out: no such folder: {pathlib.Path(options.out).resolve().parent}")
    if options.compare and not pathlib.Path(options.compare).is_file():
        parser.error(f"--compare: no such file: {options.compare}")
    return options


def main():
    options = parse_options()
    world = options.gpus or gpus_here()
    if world < 1:
        sys.exit("measure_pytorch: PyTorch sees no GPU")
    status = 0
    if world == 1:
        measure(options, 0, 1)
    else:
        status = run_ranks(options, world)
    if options.compare and pathlib.Path(options.out).is_file():
        compare(options.out, options.compare)
    return status


if __name__ == "__main__":
    sys.exit(main())
