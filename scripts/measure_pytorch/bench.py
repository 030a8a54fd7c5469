"""What every suite needs: the clock of repetitions, memory for weights, and where records go."""
import json
import math
import os
import pathlib
import statistics
import time
import traceback

import torch
import torch.distributed as dist

from . import progress
from .machine import cpu_name
from .progress import note

MIB = 1 << 20
ARENA_SHARE = 0.45  # of the GPU's memory: weights and KV cache; the rest is for activations and graphs


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
        frames = [(pathlib.Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        lines = [f"{path.name}:{line}" for path, line in frames if path.parent == pathlib.Path(__file__).parent]
        reason = f"{type(error).__name__} in {', '.join(lines)}: {(str(error).splitlines() or [''])[0]}"
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
            stop, late = self.agree(progress.stop_asked, self.seconds() > until)
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


def spread(values):
    """p90 over median: how far a repetition may lie off what is reported."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] / max(statistics.median(ordered), 1e-9), 4)
