"""What a file says of the machine."""
import contextlib
import os
import platform
import subprocess

import torch


def cpu_name():
    with contextlib.suppress(OSError):
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine_facts(arguments):
    facts = {"command": "measure_pytorch " + " ".join(arguments), "python": platform.python_version(),
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
