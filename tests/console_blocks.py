#!/usr/bin/env python3
"""Runs the `$ moesim ...` commands in the console blocks of the documentation and compares what they print.

usage: console_blocks.py MOESIM [--write] FILE.md ...

A block is fenced by ```console; each line that begins with "$ moesim " is a command, and the lines up to the next one
are what it prints on stdout and stderr, both as they come. Commands run in the root of the repository. --write puts
what they print into the files instead.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "$ moesim "


def printed(moesim, command):
    done = subprocess.run([moesim, *shlex.split(command)], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stdout, done.returncode


def rewritten(moesim, block):
    """The block with what its commands print now, and whether documented errors exit with 2."""
    out, faults = [], []
    for line in block.splitlines():
        if not line.startswith(PROMPT):
            continue
        text, code = printed(moesim, line[len(PROMPT):])
        if code not in (0, 2):
            faults.append(f"{line}: exit code {code}")
        out.append(line + "\n" + text)
    return "".join(out), faults


def main():
    arguments = sys.argv[1:]
    write = "--write" in arguments
    moesim, *files = [a for a in arguments if a != "--write"]
    faults = []
    for name in files:
        text = (ROOT / name).read_text()

        def replace(match):
            now, block_faults = rewritten(moesim, match[1])
            faults.extend(f"{name}: {fault}" for fault in block_faults)
            if now != match[1] and not write:
                faults.append(f"{name}: the program prints\n{now}but the page says\n{match[1]}")
            return "```console\n" + now + "```"

        new = re.sub(r"```console\n(.*?)```", replace, text, flags=re.S)
        if write:
            (ROOT / name).write_text(new)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
