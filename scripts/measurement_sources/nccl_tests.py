"""Logs of nccl-tests: all_reduce_perf, alltoall_perf, all_gather_perf, reduce_scatter_perf, sendrecv_perf."""

import re

from measurement_sources.common import Result, collective, microseconds, number, read_text, whole


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
