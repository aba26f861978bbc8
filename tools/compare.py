#!/usr/bin/env python
"""Compare methods over seeds: train every pair of them, print mean and deviation of the scores.

compare.py --config-file FILE --methods OnlySup Co2S --seeds 0 1 2 [KEY VALUE ...]
An entry of --methods is METHOD, or TITLE:METHOD,KEY=VALUE,... for a run with options of its own,
such as "long:Co2S,SOLVER.MAX_ITER=1600". The table begins with its floors: linear layers on
colours, and on the backbones as they are before any training; --no-floors leaves them out.
A run that is through is not trained again, and one that was cut goes on: a broken comparison can be
continued. A run of other options is refused.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from tabulate import tabulate

from co2s.d2 import CfgNode
from co2s.engine import load_cfg
from co2s.engine.checkpoints import last_checkpoint
from co2s.engine.facts import wall_seconds
from co2s.engine.floors import STUDENT, distinct_floors, folder_name, score_floor
from co2s.engine.report import REPORT, options, refuse_other_options
from co2s.evaluation.evaluator import FUSED
from co2s.files import write_text
from co2s.tool import tool

TRAIN = Path(__file__).with_name("train_net.py")
ADVICE = "Give another --output, or remove that folder."
OWN = {"MODEL.META_ARCHITECTURE": "--methods", "SEED": "--seeds", "OUTPUT_DIR": "--output"}
WITH_FLOORS = """\
Floors: a linear layer on what no method has trained, fitted to the labelled images. Their scores
stand under the prediction that counts."""
WITHOUT_FLOORS = "The floors of this table were left out (--no-floors)."


class Entry(NamedTuple):
    """A row of the table: a method, and the options that are its own."""

    title: str
    method: str
    opts: list[str]


class Result(NamedTuple):
    """What a run reached, and what it took."""

    scores: dict[str, dict[str, float]]  # dataset -> prediction -> mIoU
    seconds: float | None


Results = Mapping[str, Sequence[Result]]  # by title, one of each seed


@tool
def main() -> None:
    args = parse_args()
    entries = distinct([parse_entry(text) for text in args.methods])
    runs = {e.title: [configured(args, e, seed) for seed in args.seeds] for e in entries}
    floors = distinct_floors(runs, args.output / "floors") if args.floors else {}
    low = {title: [floor(cfg) for cfg in cfgs] for title, cfgs in floors.items()}
    found = {e.title: [train(args, e, cfg) for cfg in runs[e.title]] for e in entries}
    parts = [table(low, found, dataset) for dataset in datasets({**low, **found})]
    text = "\n\n".join([*parts, WITH_FLOORS if args.floors else WITHOUT_FLOORS])
    write_text(args.output / "comparison.md", text + "\n")
    print(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["OnlySup", "Co2S"],
        metavar="METHOD | TITLE:METHOD,KEY=VALUE,...",
    )
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    parser.add_argument("--output", type=Path, default=Path("output/compare"))
    parser.add_argument(
        "--no-floors", dest="floors", action="store_false", help="leave the floors out"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    args = parser.parse_args()
    # What follows the last seed is taken for seeds, too: the options begin at the first word.
    numbers = [*itertools.takewhile(str.isdecimal, args.seeds)]
    args.opts = [*args.seeds[len(numbers) :], *args.opts]
    args.seeds = [int(number) for number in numbers]
    if not args.seeds:
        parser.error(f"--seeds needs whole numbers, found {' '.join(args.opts)}")
    return args


def parse_entry(text: str) -> Entry:
    """An entry of --methods; ValueError where it is malformed."""
    title, colon, rest = text.partition(":")
    # A value may hold commas: one ends it only where another KEY= follows.
    method, *pairs = re.split(r",(?=[A-Za-z_][\w.]*=)", rest if colon else text)
    if not re.fullmatch(r"[A-Za-z_]\w*", method) or not folder_name(title) or (pairs and not colon):
        raise ValueError(
            f"--methods '{text}': write METHOD, or TITLE:METHOD,KEY=VALUE,... with one option or "
            "more, such as 'long:Co2S,SOLVER.MAX_ITER=1600'."
        )
    return Entry(title, method, [part for pair in pairs for part in pair.split("=", 1)])


def distinct(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries; ValueError where two would share a folder."""
    seen: dict[str, str] = {}
    for entry in entries:
        name = folder_name(entry.title).casefold()
        if name in seen:
            raise ValueError(
                f"--methods: '{seen[name]}' and '{entry.title}' would share a folder. Give each a "
                "title of its own: TITLE:METHOD,KEY=VALUE,..."
            )
        seen[name] = entry.title
    return entries


def options_of(args: argparse.Namespace, entry: Entry, seed: int) -> list[str]:
    """KEY VALUE ... of a run, on top of the configuration file."""
    given = [*args.opts, *entry.opts]
    for key, argument in OWN.items():
        if key in given[::2]:
            raise ValueError(f"{key} is what {argument} sets here. Take it out of the options.")
    folder = args.output / f"{folder_name(entry.title)}_seed{seed}"
    values = (entry.method, seed, folder)
    return [*given, *(str(part) for pair in zip(OWN, values, strict=True) for part in pair)]


def configured(args: argparse.Namespace, entry: Entry, seed: int) -> CfgNode:
    return load_cfg(args.config_file, options_of(args, entry, seed), training=True)


def train(args: argparse.Namespace, entry: Entry, cfg: CfgNode) -> Result:
    """Train one run, unless that was done; its mIoU on DATASETS.TEST."""
    if not (Path(cfg.OUTPUT_DIR) / REPORT).is_file():
        command = [sys.executable, str(TRAIN), "--config-file", args.config_file]
        if last_checkpoint(cfg):
            command.append("--resume")
        done = subprocess.run([*command, *options_of(args, entry, cfg.SEED)])
        if done.returncode:
            raise OSError(f"{entry.title} with seed {cfg.SEED} stopped; what it said stands above.")
    return result(cfg)


def floor(cfg: CfgNode) -> Result:
    """Fit and score one floor, unless that was done."""
    if not (Path(cfg.OUTPUT_DIR) / REPORT).is_file():
        print(f"A floor is fitted, into {cfg.OUTPUT_DIR}", flush=True)
        score_floor(cfg)
    return result(cfg)


def result(cfg: CfgNode) -> Result:
    """What the report of a run says; ValueError where that run had other options."""
    folder = Path(cfg.OUTPUT_DIR)
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    refuse_other_options(folder, report["options"], options(cfg), advice=ADVICE)
    scores = {
        dataset: {name: values["mIoU"] for name, values in found.items() if name != "sem_seg"}
        for dataset, found in report["scores"].items()
    }
    return Result(scores, wall_seconds(folder))


def datasets(results: Results) -> list[str]:
    return list(dict.fromkeys(name for runs in results.values() for run in runs for name in run[0]))


def table(floors: Results, methods: Results, dataset: str) -> str:
    """Mean and deviation of every prediction that any method makes; floors stand first."""
    found = [run.scores[dataset] for runs in methods.values() for run in runs]
    predictions = list(dict.fromkeys(name for scores in found for name in scores))
    main = FUSED if FUSED in predictions else predictions[-1]
    rows = []
    for results, columns in ((floors, {main: STUDENT}), (methods, {n: n for n in predictions})):
        for title, runs in results.items():
            scores = [run.scores[dataset] for run in runs]
            cells = (summary(scores, columns.get(name, "")) for name in predictions)
            rows.append([title, *cells, seconds(runs)])
    headers = [f"mIoU, %, {dataset}", *predictions, "seconds"]
    if all(row[-1] == "-" for row in rows):
        rows, headers = [row[:-1] for row in rows], headers[:-1]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def seconds(runs: Sequence[Result]) -> str:
    """The wall time of a run, on average; "-" where it is not known."""
    known = [run.seconds for run in runs if run.seconds is not None]
    return f"{mean(known):.0f}" if known else "-"


def summary(runs: Sequence[Mapping[str, float]], prediction: str) -> str:
    values = [run[prediction] for run in runs if prediction in run]
    if not values:
        return "-"
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
