#!/usr/bin/env python
"""Write the report of a run anew, or compare runs: report.py DIR [DIR ...] [--output FILE].

One DIR, the OUTPUT_DIR of a run: its report.html. Several: one page with all of them side by side,
those that differ only in SEED as mean and deviation.
"""

import argparse
from pathlib import Path

from co2s.report import write_comparison_page, write_report_page
from co2s.tool import tool


@tool
def main() -> None:
    args = parse_args()
    if len(args.folders) > 1:
        print(write_comparison_page(args.folders, args.output or Path("report.html")))
        return
    if args.output:
        raise ValueError(
            "--output is for the comparison of several runs; the report of one run lies in its "
            "folder. Leave --output out, or name another run."
        )
    print(write_report_page(args.folders[0]))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, help="of several runs: the page (report.html)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
