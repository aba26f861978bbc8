#!/usr/bin/env python
"""Compare methods over seeds: train every pair of them, write mean and deviation of the scores.

compare.py --config-file FILE --methods OnlySup Co2S --seeds 0 1 2 [KEY VALUE ...]
An entry of --methods is METHOD, or TITLE:METHOD,KEY=VALUE,... for a run with options of its own,
such as "long:Co2S,SOLVER.MAX_ITER=1600", or @FILE for a YAML list of them. The table begins with
its floors: linear layers on colours, and on the backbones as they are before any training;
--no-floors leaves them out. --jobs N trains N runs at once, --ray on a cluster; --dry-run says what
there is to do and how long it takes. A run that is through is not trained again, one that was cut
goes on: the same command continues a broken comparison. A run of other options is refused.
"""

import argparse
from pathlib import Path

from co2s.engine.runner import Group, add_arguments, parse, run_bench
from co2s.tool import tool

TRAIN = Path(__file__).resolve().with_name("train_net.py")


@tool
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True)
    add_arguments(parser, "output/compare")
    args = parse(parser)
    group = Group("", args.config_file, args.output, args.output / "comparison")
    run_bench(args, [group], TRAIN)


if __name__ == "__main__":
    main()
