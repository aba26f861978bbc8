"""The arguments that every tool of the bench has."""

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


def add_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """Add them; output: the folder by default."""
    add = parser.add_argument
    add(
        "--methods",
        nargs="+",
        default=["OnlySup", "Co2S"],
        metavar="METHOD | TITLE:METHOD,KEY=VALUE,... | @FILE",
    )
    add("--seeds", nargs="+", default=["0", "1", "2"])
    add("--output", type=Path, default=Path(output))
    add("--no-floors", dest="floors", action="store_false", help="leave the floors out")
    add(
        "--jobs",
        type=int,
        default=0,
        help="cells at once, dealt out over the GPUs; by default one on each, else one",
    )
    add("--ray", nargs="?", const="auto", metavar="ADDRESS", help="on the slots of a Ray cluster")
    add("--dry-run", action="store_true", help="say what there is to do, and how long it takes")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; `opts` holds KEY VALUE ..., which begin at the first key of a section."""
    given = [*(sys.argv[1:] if argv is None else argv)]
    first = next((i for i, text in enumerate(given) if KEY.fullmatch(text)), len(given))
    args = parser.parse_args(given[:first])
    # What follows the last seed is taken for seeds, too: keys without a section.
    numbers = [*itertools.takewhile(str.isdecimal, args.seeds)]
    args.opts = [*args.seeds[len(numbers) :], *given[first:]]
    args.seeds = [*dict.fromkeys(int(number) for number in numbers)]
    if not args.seeds:
        parser.error(f"--seeds needs whole numbers, found {' '.join(args.opts)}")
    if args.jobs < 0:
        parser.error(f"--jobs {args.jobs}: give 1 or more")
    if args.ray and args.jobs:
        parser.error("--ray takes all slots of the cluster: leave --jobs out")
    return args
