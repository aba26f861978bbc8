#!/usr/bin/env python
"""Check a dataset before training on it: files, labels, lists, georeference, statistics.

check_dataset.py --dataset whdld [--root DIR] [--workers N] [--statistics out.json] [--quick]
Exit code: 0 nothing wrong, 1 something wrong, 2 no such dataset, or nothing of it can be read.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from co2s.data import get_spec, register_spec_file, set_root
from co2s.preparation.check import Report, check_dataset, quick_check
from co2s.preparation.check.lists import dataset_root, list_names
from co2s.preparation.check.report import as_text, findings_text, write_report
from co2s.preparation.check.statistics import write_statistics
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_args(arguments)
    name = registered(args.dataset, args.root)
    if args.quick:
        return quick(name)
    report = check_dataset(name, args.workers, progress, args.statistics)
    print(as_text(report))
    return write(report, args)


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", required=True, help="a registered dataset, or the YAML file of one")
    add("--root", help="its folder, or the one that holds it (default: the usual place)")
    workers = min(os.cpu_count() or 1, 8)
    add("--workers", type=int, default=workers, help="processes (default here: %(default)s)")
    add("--statistics", type=Path, help="file to write for `raster: {scale: {statistics: FILE}}`")
    add("--json", type=Path, help="file to write the report to")
    add("--quick", action="store_true", help="headers and masks of some samples of each list")
    args = parser.parse_args(arguments)
    if args.quick and (args.statistics or args.json):
        parser.error("--quick writes no files: leave --statistics and --json out, or --quick.")
    return args


def registered(dataset: str, root: str | None) -> str:
    """The name of the dataset, or of the one that a YAML file describes."""
    if dataset.endswith((".yaml", ".yml")):
        return register_spec_file(dataset, root)
    name = get_spec(dataset).name
    if root is not None:
        set_root(name, root)
    return name


def quick(name: str) -> int:
    """Print what a quick look finds; returns the exit code."""
    findings = quick_check(list_names(name))
    root = str(dataset_root(name))
    print(f"{name} in {root}, a quick look at some samples\n\n{findings_text(findings, root)}")
    return int(any(finding.severity == "error" for finding in findings))


def progress(measured, total: int):
    """A bar on stderr; the table goes to stdout."""
    return tqdm(measured, total=total, unit="file", leave=False, disable=None)


def write(report: Report, args: argparse.Namespace) -> int:
    """Write the files that were asked for; returns the exit code."""
    if args.json:
        write_report(args.json, report)
        print(f"Report: {args.json}")
    if args.statistics:
        images, lists = report.statistics_images, report.statistics_lists
        write_statistics(args.statistics, report.bands, report.dataset, images, lists)
        print(f"Statistics: {args.statistics}")
    return int(bool(report.errors))


if __name__ == "__main__":
    sys.exit(main())
