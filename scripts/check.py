#!/usr/bin/env python3
"""Checks what a compiler does not: include layers, lengths, banned words, documentation, file sizes, format.

Prints one line a finding, `path:line: message`, and exits with 1 if there is one. Looks at the files that git tracks
or would track; outside a clone, at every file that is not in a build folder.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# A layer may include itself and those of lower rank; equal ranks are siblings and may not include each other.
LAYERS = {
    "sim/core": 0, "sim/config": 1, "sim/net": 2, "sim/work": 3, "sim/comm": 4,
    "topologies": 5, "models": 5, "traces": 5,
    "sim/moe": 6, "sim/policy": 7, "sim/run": 8, "validation": 9, "sim/cli": 10, "tests": 11,
}
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
FILE_BYTES_MAX = 8 << 20
CPP = (".cpp", ".h", ".cu", ".cuh")
TEXT = CPP + (".py", ".sh", ".md", ".txt", ".cmake", ".json", ".yml", ".cff")
THIS_FILE = "scripts/check.py"  # names the banned words, so it is not searched for them

# What may not stand in code (comments and strings do not count), and where it may all the same.
BANNED_CODE = [
    (r"\bstd::\w+_distribution\b", "std::*_distribution differs between standard libraries; use sim/core/random.h", ()),
    (r"\brandom_device\b|\bs?rand\(", "not reproducible; use sim/core/random.h", ()),
    (r"\bshared_ptr\b", "ownership is plain: a value, a unique_ptr or an index", ()),
    (r"\bstd::(exp2?|expm1|log(2|10|1p)?|pow|sin|cos|tan|sinh|cosh|tanh|cbrt)\b\s*[(;]",
     "its last bit depends on the CPU; use sim/core/math.h", ("sim/core/", "tests/", "validation/")),
]
BANNED_TEXT = [
    (r"\b(TODO|FIXME|XXX)\b", "do it now or leave it out"),
    (r"-ffast-math|-march=native", "the bytes of the results would depend on the machine"),
]
NOT_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<delimiter>[^(\s]*)\(.*?\)(?P=delimiter)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'""",
    re.S)


class Tree:
    """The files to check, read once."""

    def __init__(self, root):
        self.root = Path(root)
        self.paths = sorted(path for path in list_files(self.root) if (self.root / path).is_file())
        self.findings = []
        self._texts = {}

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def of_kind(self, suffixes):
        return [path for path in self.paths if path.endswith(suffixes)]

    def report(self, path, line, message):
        self.findings.append((path, line, message))


def list_files(root):
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (root / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(command, capture_output=True, text=True)
        if listed.returncode == 0:
            return [path for path in listed.stdout.split("\0") if path]
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(("build", ".git", "out", "__pycache__"))]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in files]
    return found


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def without_comments_and_strings(text):
    """The code alone; line breaks stay, so that line numbers hold."""
    return NOT_CODE.sub(lambda match: '""' + "\n" * match.group().count("\n"), text)


def layer_of(path):
    for layer in LAYERS:
        if path.startswith(layer + "/"):
            return layer
    return None


def check_layers(tree):
    for path in tree.of_kind(CPP):
        layer = layer_of(path)
        if layer is None:
            tree.report(path, 1, "lies in no layer; the layers are " + ", ".join(LAYERS))
            continue
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', tree.text(path), re.M):
            line = line_of(tree.text(path), match.start())
            message = include_fault(tree, path, layer, match.group(1))
            if message:
                tree.report(path, line, message)


def include_fault(tree, path, layer, included):
    target = layer_of(included)
    if target is None or not (tree.root / included).is_file():
        return f'"{included}" is not a path from the root of the repository'
    if layer == "sim/policy" and included == "sim/core/simulator.h":
        return "a policy never sees the simulator"
    if layer != target and LAYERS[layer] <= LAYERS[target]:
        return f"{layer} may not include {target} ({included})"
    return None


def check_words(tree):
    for path in tree.of_kind(CPP):
        code = without_comments_and_strings(tree.text(path))
        for pattern, reason, allowed in BANNED_CODE:
            if not path.startswith(allowed):
                report_matches(tree, path, code, pattern, reason)
        if path.endswith((".h", ".cuh")):
            report_matches(tree, path, code, r"\busing namespace\b", "not in a header")
            if "#pragma once" not in code:
                tree.report(path, 1, "a header needs #pragma once")
    for path in tree.of_kind(TEXT):
        if path != THIS_FILE:
            for pattern, reason in BANNED_TEXT:
                report_matches(tree, path, tree.text(path), pattern, reason)


def report_matches(tree, path, text, pattern, reason):
    for match in re.finditer(pattern, text):
        tree.report(path, line_of(text, match.start()), f"{match.group().strip()}: {reason}")


def opens_function(text):
    """Whether a brace after this text (all since the last statement or block) starts the body of a function."""
    text = text.strip()
    if "(" not in text or text.count("(") != text.count(")"):
        return False
    if re.match(r"(namespace|class|struct|union|enum|extern)\b", re.sub(r"^template\s*<.*?>\s*(?=class|struct)", "", text)):
        return False
    if re.search(r"(\)|\}|\b(const|noexcept|override|final|mutable|try))\s*$", text):
        return True
    return re.search(r"\)[^()]*->\s*[\w:<>,*&\s]+$", text) is not None


def functions(code):
    """(first line, last line) of every function body at namespace or class scope; lambdas inside count as part of it."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: "\n" * match.group().count("\n"), code, flags=re.M)
    stack = []  # kinds of the open blocks, and where each began
    since = 0   # the offset after the last statement or block outside functions
    for match in re.finditer(r"[{};]|\b(?:public|private|protected):", code):
        token, inside = match.group(), any(kind == "function" for kind, _ in stack)
        if token == "{":
            if inside:
                kind = "block"
            elif opens_function(code[since:match.start()]):
                kind = "function"
            else:
                kind = "scope" if is_scope(code[since:match.start()]) else "initialiser"
            stack.append((kind, match.start()))
            if kind in ("function", "scope"):
                since = match.end()
        elif token == "}":
            kind, start = stack.pop() if stack else ("scope", 0)
            if kind == "function":
                yield line_of(code, start), line_of(code, match.start())
            if kind in ("function", "scope"):
                since = match.end()
        elif not inside and not (stack and stack[-1][0] == "initialiser"):
            since = match.end()


def is_scope(text):
    return re.search(r"\b(namespace|class|struct|union|enum|extern)\b", text) is not None and "=" not in text.split("(")[0]


def check_lengths(tree):
    for path in tree.of_kind(CPP):
        text = tree.text(path)
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            tree.report(path, FILE_LINES_MAX, f"{lines} lines; at most {FILE_LINES_MAX}: is one idea hiding another?")
        for first, last in functions(without_comments_and_strings(text)):
            if last - first + 1 > FUNCTION_LINES_MAX:
                tree.report(path, first, f"a function of {last - first + 1} lines; at most {FUNCTION_LINES_MAX}")


def check_registered_names(tree):
    """Whoever adds a policy or a topology documents it."""
    documents = {"topologies/": "docs/topologies.md", "sim/net/": "docs/policies.md", "sim/comm/": "docs/policies.md", "sim/policy/": "docs/policies.md"}
    for path in tree.of_kind((".cpp",)):
        document = next((file for folder, file in documents.items() if path.startswith(folder)), None)
        if document is None:
            continue
        for match in re.finditer(r'Registry<[^;{}]*?\.add\(\s*"([^"]+)"', tree.text(path)):
            known = tree.text(document) if document in tree.paths else ""
            if f"`{match.group(1)}`" not in known:
                tree.report(path, line_of(tree.text(path), match.start()), f"`{match.group(1)}` is not in {document}")


def anchors(markdown):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", markdown, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(tree):
    known = set(tree.paths) | {parent.as_posix() for path in tree.paths for parent in Path(path).parents}
    for path in tree.of_kind((".md",)):
        text = re.sub(r"```.*?```|`[^`\n]*`", lambda match: "\n" * match.group().count("\n"), tree.text(path), flags=re.S)
        for match in re.finditer(r"\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)", text):
            target, _, anchor = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            if file not in known:
                tree.report(path, line_of(text, match.start()), f"the link leads nowhere: {match.group(1)}")
            elif anchor and file.endswith(".md") and anchor not in anchors(tree.text(file)):
                tree.report(path, line_of(text, match.start()), f"no such heading: {match.group(1)}")


def check_documents_are_referenced(tree):
    texts = {path: tree.text(path) for path in tree.of_kind(TEXT)}
    for document in tree.paths:
        name = os.path.basename(document)
        if document.startswith("docs/") and not any(name in text for path, text in texts.items() if path != document):
            tree.report(document, 1, "no other file mentions it")


def check_sizes(tree):
    for path in tree.paths:
        size = (tree.root / path).stat().st_size
        if size > FILE_BYTES_MAX:
            tree.report(path, 1, f"{size / (1 << 20):.1f} MiB; at most {FILE_BYTES_MAX >> 20} MiB")


def check_format(tree):
    program = shutil.which("clang-format-19")
    if program is None:
        print("skipped: format, since there is no clang-format-19")
        return
    files = tree.of_kind(CPP)
    if files:
        run = subprocess.run([program, "--dry-run", "-fno-color-diagnostics", *files], cwd=tree.root, capture_output=True, text=True)
        for path, line in sorted(set(re.findall(r"^([^\s:]+):(\d+):\d+: warning", run.stderr, re.M))):
            tree.report(path, int(line), "is not as clang-format-19 -i writes it")
        if run.returncode != 0:
            tree.report(".clang-format", 1, run.stderr.strip())


CHECKS = {
    "layers": check_layers, "words": check_words, "lengths": check_lengths, "names": check_registered_names,
    "links": check_links, "documents": check_documents_are_referenced, "sizes": check_sizes, "format": check_format,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="which checks to make, of " + ", ".join(CHECKS) + "; all unless said")
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, help="the repository (the one of this script unless said)")
    arguments = parser.parse_args()
    unknown = set(arguments.checks) - set(CHECKS)
    if unknown:
        parser.error("no such check: " + ", ".join(sorted(unknown)))

    tree = Tree(arguments.root)
    for name in arguments.checks or CHECKS:
        CHECKS[name](tree)
    for path, line, message in sorted(tree.findings):
        print(f"{path}:{line}: {message}")
    print(f"{len(tree.paths)} files, {len(tree.findings)} finding{'' if len(tree.findings) == 1 else 's'}")
    return 1 if tree.findings else 0


if __name__ == "__main__":
    sys.exit(main())
