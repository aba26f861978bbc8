#!/usr/bin/env python
"""Train methods on datasets, splits and seeds, and write a table for each dataset and split.

reproduce.py --datasets gid15 msl --splits 1_8 1_4 --methods OnlySup UniMatch Co2S --seeds 0 1 2
An entry of --methods is METHOD, or TITLE:METHOD,KEY=VALUE,..., or @FILE for a YAML list of them,
such as @projects/Co2S/ablations/method.yaml. A dataset is trained as configs/co2s_<dataset>.yaml
says, or the file in NAME=FILE or in --config-file. --jobs N runs N cells at once (dealt out
over the GPUs), --ray those of a cluster; --dry-run says what there is to do and how long it takes.
--ceiling adds a row: labelled-only with the labels of the split 1_1, all there are. The same
command goes on where one was broken off, and several at once share the work. KEY VALUE ... hold for
all cells. Exit code 1: some cells failed, the others are through; 75: a signal ended it.
"""

import argparse
import itertools
import re
from dataclasses import replace
from pathlib import Path

from co2s.config import read_given
from co2s.engine.runner import Entry, Group, add_arguments, parse, run_bench
from co2s.model_zoo import config_names, get_config_file, published, published_names
from co2s.tool import tool

TRAIN = Path(__file__).resolve().parents[2] / "tools" / "train_net.py"
# Datasets that are not the paper's.
OTHERS = {
    "synthetic_aerial": "quickstart.yaml",
    "dubai72": "co2s_dubai72_small.yaml",
    "dubai72_scenes": "co2s_dubai72_small.yaml",
}
SPECS = {"dubai72_scenes": "datasets/dubai72_scenes.yaml"}  # where it is not the configuration's
OWN = {"DATASETS.LABELED": "--splits", "DATASETS.UNLABELED": "--splits"}


@tool
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    paper = [name.removeprefix("co2s_").removesuffix(".yaml") for name in published_names()]
    parser.add_argument("--datasets", nargs="+", default=paper, metavar="NAME | NAME=CONFIG")
    parser.add_argument(
        "--splits", nargs="+", default=[], help="such as 1_8; by default that of the configuration"
    )
    parser.add_argument("--config-file", default="", help="of all the datasets")
    parser.add_argument(
        "--ceiling", action="store_true", help="also labelled-only with all labels: the split 1_1"
    )
    add_arguments(parser, "output/reproduce")
    args = parse(parser)
    named = [config_of(text, args.config_file) for text in args.datasets]
    pairs = itertools.product(named, args.splits or [""])
    groups = []
    for (name, file), split in pairs:
        more = (ceiling_of(name),) if args.ceiling else ()
        groups.append(replace(group_of(name, file, split, args.output), entries=more))
    run_bench(args, groups, TRAIN)


def config_of(text: str, file: str = "") -> tuple[str, str]:
    """Name and configuration file of an entry of --datasets; ValueError where none is known."""
    name, _, own = text.partition("=")
    if own and file:
        raise ValueError(f"--datasets {text}: leave --config-file {file} out, or the file here.")
    if own or file:
        return name, own or file
    known = OTHERS.get(name, f"co2s_{name}.yaml")
    if known not in config_names():
        found = (re.fullmatch(r"co2s_(\w+)\.yaml", config) for config in config_names())
        names = sorted({match[1] for match in found if match} | {*OTHERS})
        raise ValueError(
            f"--datasets {name}: there is no configuration for it; there are {', '.join(names)}. "
            "Give yours: NAME=FILE."
        )
    return name, get_config_file(known)


def group_of(dataset: str, file: str, split: str, output: Path) -> Group:
    """The table of a dataset and a split, by default the one that the file names."""
    split = split or split_in(dataset, file)
    opts = [
        part
        for key in OWN
        for part in (key, f'("{dataset}_{split}_{key.rpartition(".")[2].lower()}",)')
    ]
    opts += ["DATASETS.TEST", f'("{dataset}_val",)']
    if dataset in SPECS:
        opts += ["DATASETS.SPECS", f'("{SPECS[dataset]}",)']
    figures = {}
    config, source = f"co2s_{dataset}.yaml", ""
    if config in published_names():
        found = published(config)
        figures = {name: row[split] for name, row in found.miou.items() if split in row}
        source = found.source
    stem = f"{dataset}_{split}"
    return Group(
        f"{dataset}, {split.replace('_', '/')}",
        file,
        output / stem,
        output / stem,
        tuple(opts),
        {**OWN, "DATASETS.TEST": "--datasets"},
        figures,
        source,
    )


def ceiling_of(dataset: str) -> Entry:
    """Labelled-only with all labels of a dataset."""
    return Entry("All labels", "OnlySup", ("DATASETS.LABELED", f'("{dataset}_1_1_labeled",)'))


def split_in(dataset: str, file: str) -> str:
    """The split of a dataset whose labels a configuration file names; ValueError where it names
    none."""
    given = str(read_given(file, []).get("DATASETS.LABELED"))
    match = re.search(rf"\b{re.escape(dataset)}_(\w+)_labeled\b", given)
    if not match:
        raise ValueError(f"{file} names no split of {dataset}. Give it: --splits 1_8.")
    return match[1]


if __name__ == "__main__":
    main()
