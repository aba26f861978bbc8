#!/usr/bin/env python
"""Compare methods over seeds: train every pair of them, print mean and deviation of the scores.

compare.py --config-file FILE --methods OnlySup Co2S --seeds 0 1 2 [KEY VALUE ...]
A run that is through is not trained again, and one that was cut goes on: a broken comparison can be
continued. A run of other options is refused.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

from tabulate import tabulate

from co2s.engine import load_cfg
from co2s.engine.checkpoints import last_checkpoint
from co2s.engine.report import REPORT, options, refuse_other_options
from co2s.files import write_text
from co2s.tool import tool

TRAIN = Path(__file__).with_name("train_net.py")
ADVICE = "Give another --output, or remove that folder."

Scores = dict[str, dict[str, float]]  # dataset -> prediction -> mIoU


@tool
def main() -> None:
    args = parse_args()
    runs = {method: [train(args, method, seed) for seed in args.seeds] for method in args.methods}
    text = "\n\n".join(table(runs, dataset) for dataset in datasets(runs))
    write_text(args.output / "comparison.md", text + "\n")
    print(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--methods", nargs="+", default=["OnlySup", "Co2S"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path("output/compare"))
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    return parser.parse_args()


def train(args: argparse.Namespace, method: str, seed: int) -> Scores:
    """Train one method with one seed, unless that was done; its mIoU on DATASETS.TEST."""
    folder = args.output / f"{method}_seed{seed}"
    keys = {"MODEL.META_ARCHITECTURE": method, "SEED": seed, "OUTPUT_DIR": folder}
    opts = [*args.opts, *(str(x) for pair in keys.items() for x in pair)]
    cfg = load_cfg(args.config_file, opts, training=True)
    if not (folder / REPORT).is_file():
        command = [sys.executable, str(TRAIN), "--config-file", args.config_file]
        if last_checkpoint(cfg):
            command.append("--resume")
        done = subprocess.run([*command, *opts])
        if done.returncode:
            raise OSError(f"{method} with seed {seed} stopped; what it said stands above.")
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    refuse_other_options(folder, report["options"], options(cfg), advice=ADVICE)
    return {
        dataset: {name: values["mIoU"] for name, values in scores.items() if name != "sem_seg"}
        for dataset, scores in report["scores"].items()
    }


def datasets(runs: dict[str, list[Scores]]) -> list[str]:
    return list(dict.fromkeys(name for scores in runs.values() for run in scores for name in run))


def table(runs: dict[str, list[Scores]], dataset: str) -> str:
    """Mean and deviation of every prediction that any method makes."""
    found = [run[dataset] for scores in runs.values() for run in scores]
    predictions = list(dict.fromkeys(name for run in found for name in run))
    rows = [
        [method, *(summary([run[dataset] for run in scores], name) for name in predictions)]
        for method, scores in runs.items()
    ]
    return tabulate(rows, headers=[f"mIoU, %, {dataset}", *predictions], tablefmt="github")


def summary(runs: list[dict[str, float]], prediction: str) -> str:
    values = [run[prediction] for run in runs if prediction in run]
    if not values:
        return "-"
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
