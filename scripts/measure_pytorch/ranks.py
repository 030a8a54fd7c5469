"""One process a GPU, each of which runs all suites."""
import datetime
import gc
import multiprocessing
import os
import signal
import socket
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

from . import progress
from .bench import Bench
from .collectives import collective_cases
from .kernels import kernel_cases
from .layers import layer_cases
from .machine import machine_facts
from .moe_layer import choose_layout
from .offload import offload_cases
from .progress import ask_to_stop, note
from .steps import step_cases

SHARES = {"steps": 0.42, "layers": 0.30, "kernels": 0.12, "collectives": 0.10, "offload": 0.06}
CASES = {"steps": step_cases, "layers": layer_cases, "kernels": kernel_cases, "collectives": collective_cases,
         "offload": offload_cases}


def measure(options, rank, world):
    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)
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
        if asked_at is None and progress.stop_asked:
            asked_at = now
        # Whoever has not ended well after the first, or well after Ctrl-C, hangs in a collective.
        if (ended_at and now - ended_at > 15.0) or (asked_at and now - asked_at > 60.0):
            for process in ranks:
                if process.is_alive():
                    process.kill()
    return next((process.exitcode for process in ranks if process.exitcode), 0)
