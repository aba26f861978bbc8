#!/usr/bin/env python
"""Measure speed and memory: benchmark.py data|load|predict|train [options] [KEY VALUE]

Tables are printed, of `train` JSON lines; --output FILE also writes every single figure as JSON.
Each benchmark has its own options: benchmark.py data --help. Those that take several values
(--workers 0 1 2) go first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks/ is not installed

from benchmarks import data, load, predict, train
from co2s.files import write_json
from co2s.tool import tool

BENCHMARKS = {"data": data, "load": load, "predict": predict, "train": train}


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    benchmark = BENCHMARKS[args.benchmark]
    results = benchmark.run(args)
    print("\n\n".join(benchmark.tables(results)))
    if args.output:
        write_json(args.output, results)


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, benchmark in BENCHMARKS.items():
        line = benchmark.__doc__.splitlines()[0]
        command = commands.add_parser(name, help=line, description=line)
        benchmark.add_arguments(command)
        command.add_argument("--config-file", default="", help="of the run whose parts are meant")
        command.add_argument("--output", type=Path, help="a JSON file for all figures")
        command.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
