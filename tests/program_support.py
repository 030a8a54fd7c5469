"""What the tests of the whole program share: each is a function without arguments that raises where it fails."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOESIM = sys.argv[1]


def moesim(*arguments, **options):
    return subprocess.run([MOESIM, *arguments], cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=300, **options)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def main(names):
    """Runs every function of a test file's own and prints one line each; the exit status of the file."""
    os.environ["LC_ALL"] = "C.UTF-8"
    failed = 0
    for test in [value for value in names.values() if callable(value) and getattr(value, "__module__", "") == "__main__"]:
        try:
            print(f"{test() or 'ok':8} {test.__name__}", flush=True)
        except Exception as error:  # one failure does not hide the others
            failed += 1
            print(f"FAILED   {test.__name__}: {str(error)[:2000]}", flush=True)
    return 1 if failed else 0
