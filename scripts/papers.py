#!/usr/bin/env python3
"""Published results against simulated ones: runs what validation/papers describes and prints a table.

A row is a figure of a paper, an expression over the results of a few runs, and an expectation with its tolerance. Rows
that miss stay in the table, with the reason that the paper's file gives. docs/papers.md says how to write such files.

Exit status: 0 where every row is as its paper's file says; 1 where one misses without a reason, meets what the file
says it misses, or docs/papers.md is not what --write would make of it; 2 where the input is wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from paper_results import report
from paper_results.fit import fit
from paper_results.paper_file import PaperError, read_paper
from paper_results.runs import ROOT, runners_of

PAGE = ROOT / "docs" / "papers.md"
EXAMPLES = """examples:
  papers.py build/moesim
  papers.py build/moesim --only moetuner --format json
  papers.py build/moesim --data ~/smartmoe        # with the counts of the SmartMoE artifact
  papers.py build/moesim --write                  # makes the table of docs/papers.md anew
  papers.py build/moesim --fit moetuner           # prints the constants that fit best
"""


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("moesim", help="the program, as build/moesim")
    parser.add_argument("--papers", type=Path, default=ROOT / "validation" / "papers", help="folder of the papers' files")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this paper; may be repeated")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of data that may not be committed")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--fit", metavar="NAME", help="fit the constants that this paper's file names, and print them")
    parser.add_argument("--check", action="store_true", help="compare the page with what --write would make of it")
    parser.add_argument("--write", action="store_true", help="make the generated part of the page anew")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; docs/papers.md unless said")
    return parser.parse_args(arguments)


def papers_of(options):
    papers = [read_paper(path) for path in sorted(options.papers.glob("*.json"))]
    names = {paper["name"] for paper in papers}
    unknown = [name for name in options.only + ([options.fit] if options.fit else []) if name not in names]
    if unknown:
        raise PaperError(f"no paper is named {unknown[0]}; there are {', '.join(sorted(names))}")
    return papers


def rows_of(paper, options):
    rows = []
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        runners = runners_of(options.moesim, paper, options.data, folder)
        for row in paper["rows"]:
            rows.append(report.judge(paper, row, runners))
            print(f"{paper['name']}: {row['id']}: {rows[-1].status}", file=sys.stderr)
    return rows


def main(arguments):
    options = options_of(arguments)
    papers = papers_of(options)
    if options.fit:
        paper = next(paper for paper in papers if paper["name"] == options.fit)
        fit(options.moesim, paper, options.data, print)
        return 0
    rows = [row for paper in papers if not options.only or paper["name"] in options.only for row in rows_of(paper, options)]
    sys.stdout.write(report.as_json(rows) if options.format == "json" else report.as_text(rows))
    failed = any(row.unexpected for row in rows)
    if options.check or options.write:
        page = options.page.read_text(encoding="utf-8")
        now = report.generated(papers, rows, page)
        if options.write:
            temporary = options.page.with_suffix(".new")
            temporary.write_text(now, encoding="utf-8")
            temporary.replace(options.page)
        elif now != page:
            print(f"{options.page} is not what scripts/papers.py --write makes of it", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PaperError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
