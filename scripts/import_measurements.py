#!/usr/bin/env python3
"""Turns what others measured into a measurement file of moesim, as moesim-bench writes it.

One subcommand a source: logs of nccl-tests, perftest and DeepEP's own tests, and tables of aiconfigurator and vidur
(CSV, also .gz). What a source calls an element, a millisecond or a MB becomes bytes and microseconds. Rows that a
source gives several times become several samples of one record. `-` reads standard input.

Exit status: 0, or 2 with every fault of the input on standard error; then nothing is written.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile

from measurement_sources.common import Faults
from measurement_sources.deepep import import_deepep
from measurement_sources.nccl_tests import NCCL_TESTS, import_nccl_tests
from measurement_sources.perftest import import_perftest
from measurement_sources.tables import import_aiconfigurator, import_vidur

FAULTS_SHOWN_MAX = 50
EXAMPLES = """examples:
  import_measurements.py nccl-tests all_reduce.log alltoall.log -o h100x8.json
  import_measurements.py perftest ib_write_bw.log ib_write_lat.log --device "ConnectX-7" -o fabric.json
  import_measurements.py deepep test_intranode.log --ranks 8 --experts 256 -o deepep.json
  import_measurements.py aiconfigurator h100_gemm.csv.gz --where gemm_dtype=bfloat16 --every 20 -o gemm.json
  import_measurements.py vidur all_reduce.csv.gz --device "NVIDIA A100-SXM4-80GB" -o a100.json
"""


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
