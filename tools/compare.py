#!/usr/bin/env python
"""Compare methods over seeds: train every pair of them, print mean and deviation of the scores.

compare.py --config-file FILE --methods OnlySup Co2S --seeds 0 1 2 [KEY VALUE ...]
A run that has its scores already is not trained again, so a broken comparison can be continued.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

from tabulate import tabulate

TRAIN = Path(__file__).with_name("train_net.py")
PREDICTIONS = ("global", "local", "fused")


def main() -> None:
    args = parse_args()
    scores = {method: [train(args, method, seed) for seed in args.seeds] for method in args.methods}
    table = [[method, *(summary(runs, p) for p in PREDICTIONS)] for method, runs in scores.items()]
    text = tabulate(table, headers=["mIoU, %", *PREDICTIONS], tablefmt="github")
    (args.output / "comparison.md").write_text(text + "\n")
    print(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--methods", nargs="+", default=["OnlySup", "Co2S"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path("output/compare"))
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    return parser.parse_args()


def train(args: argparse.Namespace, method: str, seed: int) -> dict[str, float]:
    """Train one method with one seed, unless that was done; its mIoU by prediction."""
    folder = args.output / f"{method}_seed{seed}"
    found = sorted(folder.glob("inference/*/scores.json"))
    if not found:
        keys = {"MODEL.META_ARCHITECTURE": method, "SEED": seed, "OUTPUT_DIR": folder}
        opts = [*args.opts, *(str(x) for pair in keys.items() for x in pair)]
        command = [sys.executable, str(TRAIN), "--config-file", args.config_file, *opts]
        subprocess.run(command, check=True)
        found = sorted(folder.glob("inference/*/scores.json"))
    scores = json.loads(found[0].read_text())["scores"]
    return {prediction: scores[prediction]["mIoU"] for prediction in PREDICTIONS}


def summary(runs: list[dict[str, float]], prediction: str) -> str:
    values = [run[prediction] for run in runs]
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
