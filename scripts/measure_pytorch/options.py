"""The command line."""
import argparse
import pathlib
import sys

from .models import MODELS

SUITES = ["steps", "layers", "kernels", "collectives", "offload"]


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


def parse_options(about):
    parser = argparse.ArgumentParser(prog="measure_pytorch", description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
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
