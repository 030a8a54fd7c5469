#!/usr/bin/env python3
"""Makes the committed device profiles anew from the committed measurements, by the command that each names, and
compares: scripts/check_profiles.py MOESIM [--exact] [NAME...]

Without --exact the cross-validation is left out, which takes most of the time: the held-out errors and the notes that
rest on them are not compared, all else is. With --exact the files must be the same byte for byte.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROFILES = ROOT / "models" / "calibration"
MEASUREMENTS = ROOT / "validation" / "measurements"


def folder_of(files):
    """The folder of measurements that has all of them: names are unique within a folder only."""
    folders = [f for f in sorted(MEASUREMENTS.iterdir()) if all((f / name).exists() for name in files)]
    if len(folders) != 1:
        sys.exit(f"check_profiles: {' '.join(files)}: are in {len(folders)} folders of {MEASUREMENTS}")
    return folders[0]


def made_anew(moesim, command, exact, out):
    words = shlex.split(command)[1:]
    if not exact and "--folds" in words:
        words[words.index("--folds") + 1] = "0"
    files = [word for word in words[1:] if word.endswith(".json") and "," not in word]
    subprocess.run([moesim, *words, "-o", out], cwd=folder_of(files), check=True, stdout=subprocess.DEVNULL)
    return out.read_text()


def without_cross_validation(text):
    profile = json.loads(text)
    del profile["command"]
    for part in profile["parts"]:
        part.pop("held_out", None)
        part.pop("note", None)
    return profile


def is_same(moesim, path, exact):
    committed = path.read_text()
    with tempfile.TemporaryDirectory() as folder:
        anew = made_anew(moesim, json.loads(committed)["command"], exact, pathlib.Path(folder) / "profile.json")
    if exact:
        return anew == committed
    return without_cross_validation(anew) == without_cross_validation(committed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("moesim", type=pathlib.Path, help="the program, such as build/moesim")
    parser.add_argument("names", nargs="*", help="profiles, such as h100-sxm/pytorch; all unless said")
    parser.add_argument("--exact", action="store_true", help="with the cross-validation, byte for byte")
    given = parser.parse_args()
    names = given.names or sorted(str(p.relative_to(PROFILES).with_suffix("")) for p in PROFILES.rglob("*.json"))
    differ = 0
    for name in names:
        same = is_same(given.moesim.resolve(), PROFILES / f"{name}.json", given.exact)
        print(f"{'same' if same else 'DIFFERENT'}  {name}", flush=True)
        differ += not same
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
