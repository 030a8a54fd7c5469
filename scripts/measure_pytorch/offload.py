"""The suite of offloaded layers: experts in host memory, copied or computed by the CPU."""
import os
import statistics
import time

import torch
import torch.nn.functional as F

from .cases import chosen_models
from .models import MODELS, OFFLOAD_MODELS


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
            "in_cache": True, "us": statistics.median(host_times(lambda: run_expert(x, weights, d, f)))}


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
