"""Starts the program: `python3 measure_pytorch` wherever the folder lies, or `python3 -m measure_pytorch` beside it."""
import pathlib
import sys

if not __package__:  # The path has the folder itself, not what holds it.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)

import measure_pytorch
from measure_pytorch.compare import compare
from measure_pytorch.options import parse_options


def main():
    options = parse_options(measure_pytorch.__doc__)
    try:  # Late, so that --help and wrong options answer at once.
        import torch
        from measure_pytorch import ranks
    except ImportError as error:
        sys.exit(f"measure_pytorch: PyTorch is needed: {error}")
    world = options.gpus or torch.cuda.device_count()
    if world < 1:
        sys.exit("measure_pytorch: PyTorch sees no GPU")
    status = 0
    if world == 1:
        ranks.measure(options, 0, 1)
    else:
        status = ranks.run_ranks(options, world)
    if options.compare and pathlib.Path(options.out).is_file():
        compare(options.out, options.compare)
    return status


if __name__ == "__main__":
    sys.exit(main())
