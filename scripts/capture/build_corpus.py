#!/usr/bin/env python3
"""Builds a text corpus of many kinds out of Debian packages, to train a small Mixture-of-Experts model on.

usage: build_corpus.py OUT [--megabytes 12] [--packages FOLDER] [--document-bytes 4000000]

Runs on any Debian 12 or later, without root: packages are downloaded with apt-get and unpacked into a folder, never
installed. Writes OUT/<domain>.txt.xz, one file a domain, UTF-8, documents parted by a NUL character, and OUT/corpus.json,
which names the packages with their versions. Markup and the requests of manual pages are taken out. The same packages
give the same bytes. Each domain stops at --megabytes of text.
"""
import argparse
import gzip
import hashlib
import html
import json
import lzma
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# domain: (packages, patterns of the files in them).
DOMAINS = {
    "cpp": (["libstdc++-12-dev", "libboost1.74-dev", "libeigen3-dev"], ["usr/include/**/*"]),
    "dictionary": (["dict-gcide", "dict-foldoc", "dict-wn"], ["usr/share/dictd/*.dict.dz"]),
    "english": (["bible-kjv-text", "fortunes", "anarchism"],
                ["usr/share/doc/**/*.html", "usr/share/doc/**/*.txt*", "usr/share/bible/**/*",
                 "usr/share/games/fortunes/*"]),
    "french": (["manpages-fr", "manpages-fr-dev", "libreoffice-help-fr"],
               ["usr/share/man/fr/**/*.gz", "usr/share/libreoffice/help/fr/text/**/*.html"]),
    "german": (["manpages-de", "manpages-de-dev", "libreoffice-help-de"],
               ["usr/share/man/de/**/*.gz", "usr/share/libreoffice/help/de/text/**/*.html"]),
    "go": (["golang-1.19-src"], ["usr/share/go-1.19/src/**/*.go"]),
    "japanese": (["manpages-ja", "manpages-ja-dev", "libreoffice-help-ja", "debian-reference-ja"],
                 ["usr/share/man/ja/**/*.gz", "usr/share/libreoffice/help/ja/text/**/*.html",
                  "usr/share/debian-reference/*.ja.html"]),
    "javascript": (["node-typescript", "libjs-three", "libjs-jquery-ui", "node-acorn", "node-undici"],
                   ["usr/share/**/*.js", "usr/share/**/*.ts"]),
    "python": (["libpython3.11-stdlib", "libpython3.11-minimal", "libpython3.11-testsuite"],
               ["usr/lib/python3*/**/*.py"]),
    "russian": (["manpages-ru", "libreoffice-help-ru"],
                ["usr/share/man/ru/**/*.gz", "usr/share/libreoffice/help/ru/text/**/*.html"]),
    "spanish": (["manpages-es", "libreoffice-help-es"],
                ["usr/share/man/es/**/*.gz", "usr/share/libreoffice/help/es/text/**/*.html"]),
    "technical": (["perl-doc", "postgresql-doc-15", "vim-runtime"],
                  ["usr/share/**/*.pod", "usr/share/doc/**/*.html", "usr/share/vim/**/doc/*.txt"]),
    "chinese": (["manpages-zh", "libreoffice-help-zh-cn", "debian-reference-zh-cn"],
                ["usr/share/man/zh_CN/**/*.gz", "usr/share/libreoffice/help/zh-CN/text/**/*.html",
                 "usr/share/debian-reference/*.zh-cn.html"]),
}
DOCUMENT_BYTES_MIN = 400
SCRIPTS_AND_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
MAN_ESCAPES = re.compile(r"\\f(\[[^]]*\]|\(..|.)|\\\*?\[[^]]*\]|\\\*?\(..|\\[&%/,|^:]|\\s[+-]?\d")


def note(text):
    print(text, file=sys.stderr, flush=True)


def fetch_package(package, folder):
    """Unpacks a package below the folder; gives its version, or none where this Debian has no such package."""
    target = folder / package
    version_file = folder / (package + ".version")
    if version_file.exists():
        return version_file.read_text()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if subprocess.run(["apt-get", "download", "-q=2", package], cwd=scratch, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode:
            return None
        (archive,) = pathlib.Path(scratch).glob("*.deb")
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
        version = subprocess.run(["dpkg-deb", "-f", archive, "Version"], check=True, capture_output=True,
                                 text=True).stdout.strip()
    version_file.write_text(version)
    return version


def plain_text(path):
    """The text of a file without its markup, or nothing where it holds none."""
    packed = path.suffix in (".gz", ".dz")
    try:
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (OSError, EOFError):
        return ""
    text = data.decode("utf-8", "ignore")
    if b"\0" in data or len(text.encode()) < 0.999 * len(data):
        return ""  # a binary file, or a foreign encoding
    if path.name.removesuffix(".gz").endswith((".html", ".xhtml")):
        text = html.unescape(SCRIPTS_AND_TAGS.sub(" ", text)).replace("\0", "")
    elif "/man/" in str(path):
        lines = (re.sub(r"^[.'][ \t]*[A-Za-z\\\"]{1,2}[ \t]*", "", line) for line in text.splitlines()
                 if not line.startswith(('.\\"', "'\\\"", ".TH", ".ie", ".el", ".de", ".nr")))
        text = MAN_ESCAPES.sub("", "\n".join(lines)).replace("\\-", "-").replace("\\e", "\\")
    text = re.sub(r"[ \t]+(?=\n)", "", text)
    if path.suffix not in (".py", ".go", ".js", ".ts"):
        text = re.sub(r"[ \t]{2,}", " ", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def in_fixed_order(paths):
    """A shuffle that depends on the names alone, so that a domain's cut does not favour the first letters."""
    return sorted(paths, key=lambda path: hashlib.sha256(str(path).encode()).digest())


def documents_of(folder, packages, patterns):
    found = {}  # by its place in the package, so that order and result do not depend on the folder
    for package in packages:
        root = folder / package
        for pattern in patterns:
            for path in root.glob(pattern):
                if path.is_file() and not path.is_symlink():
                    found[path.relative_to(folder)] = path
    for name in in_fixed_order(found):
        yield plain_text(found[name])


def write_domain(path, documents, bytes_max, document_bytes_max):
    total = count = 0
    with lzma.open(path, "wb", preset=6) as out:
        for text in documents:
            data = text.encode()
            data = data[:min(document_bytes_max, bytes_max - total - 1)].decode("utf-8", "ignore").encode()
            if len(data) < DOCUMENT_BYTES_MIN:
                continue
            out.write(data + b"\0")
            total += len(data) + 1
            count += 1
            if total >= bytes_max - DOCUMENT_BYTES_MIN:
                break
    return count, total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=12, help="of text, at most, in each domain")
    parser.add_argument("--document-bytes", type=int, default=4_000_000, help="a longer document is cut")
    parser.add_argument("--packages", type=pathlib.Path, help="where packages are unpacked and kept; else a temporary folder")
    parser.add_argument("--domains", default=",".join(sorted(DOMAINS)))
    arguments = parser.parse_args()
    unknown = [domain for domain in arguments.domains.split(",") if domain not in DOMAINS]
    if unknown:
        parser.error(f"no such domain: {', '.join(unknown)}; there are {', '.join(sorted(DOMAINS))}")

    arguments.out.mkdir(parents=True, exist_ok=True)
    about = {"format_version": 1, "domains": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.packages or pathlib.Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for domain in sorted(arguments.domains.split(",")):
            packages, patterns = DOMAINS[domain]
            versions = {package: fetch_package(package, folder) for package in packages}
            for package in [p for p, version in versions.items() if version is None]:
                note(f"{domain}: no package {package} here; the domain goes without it")
                del versions[package]
            out = arguments.out / f"{domain}.txt.xz"
            count, total = write_domain(out, documents_of(folder, versions, patterns),
                                        int(arguments.megabytes * 1e6), arguments.document_bytes)
            about["domains"][domain] = {"packages": versions, "documents": count, "bytes": total}
            note(f"{domain}: {count} documents, {total / 1e6:.1f} MB of text, {out.stat().st_size / 1e6:.1f} MB packed")
    (arguments.out / "corpus.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
