#!/usr/bin/env python
"""Choose labelled, unlabelled and validation samples, and write them as split lists.

make_splits.py --dataset whdld --root whdld --val 0.1 --ratios 1/24 1/16 1/8 1/4
make_splits.py --images "images/*.png" --labels "labels/*.png" --root mydata --val 0.1 --ratios 1/8
make_splits.py --dataset potsdam --root potsdam --summary-only

Of n training samples, 1/8 labels floor(n / 8); a smaller labelled set is inside every larger one.
The same seed and files give the same lists on every machine. Tiles of one scene are kept on one
side of training and validation with --scene or --blocks; which of the training tiles are labelled
is chosen tile by tile, unless --group all. Every labelled list begins with a few samples that show
all classes together, as far as its size allows.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from co2s.data.catalog import find_spec, folder_of
from co2s.data.splits import split_name
from co2s.preparation.splits.classes import ClassCounts, count_classes, gather
from co2s.preparation.splits.folder import SUMMARY, Pair, read_split_folder, write_split_folder
from co2s.preparation.splits.grouping import group_samples
from co2s.preparation.splits.lists import class_remarks, make_lists, pairs_of, text_of
from co2s.preparation.splits.sides import Sides, choose_sides, parse_val
from co2s.preparation.splits.sources import Sample, Source, from_patterns, from_spec, listed_samples
from co2s.preparation.splits.summary import faults, summarise, table
from co2s.tables import text_table
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    args.command = shlex.join(
        ["make_splits.py", *(sys.argv[1:] if arguments is None else arguments)]
    )
    args.spec = find_spec(args.dataset) if args.dataset else None
    args.root = dataset_root(args)
    usual = (args.spec and args.spec.splits.folder) or "splits"
    args.output = args.output or args.root / usual
    show_lists(args) if args.summary_only else make(args)


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("samples").add_argument
    what("--dataset", help="a registered dataset, or the YAML file of one")
    what("--images", help='pattern of file names under the root, "images/*.png"')
    what("--labels", help='pattern of the masks, by the same stars or {parts}, "labels/*.png"')
    what("--root", type=Path, help="the dataset's folder, or the one that holds it")
    how = parser.add_argument_group("choice").add_argument
    how("--ratios", nargs="+", help="labelled shares, 1/8 1/16 (those of the dataset)")
    how("--val", help="a share (0.1), a number (494), or a val.txt, which is kept as it is")
    how("--seed", type=int, default=0)
    alike = parser.add_mutually_exclusive_group().add_argument
    alike("--scene", help='keep tiles of a {scene} together: "{scene}_{y}_{x}.png"')
    alike("--blocks", type=float, help="or those in one square of ground, side in units of the CRS")
    sides = "groups part train from val only (default), or labelled from unlabelled too"
    how("--group", choices=("val", "all"), default="val", help=sides)
    how("--no-stratify", action="store_true", help="choose blindly; no mask is read")
    out = parser.add_argument_group("lists").add_argument
    out("--output", type=Path, help="folder of the lists (<root>/splits)")
    out("--overwrite", action="store_true", help="replace the lists that are there")
    out("--summary-only", action="store_true", help="only read the lists in --output, and judge")
    return parser.parse_args(arguments)


def dataset_root(args: argparse.Namespace) -> Path:
    """--root, or the usual place of the dataset; either may be the folder that holds its own."""
    if args.spec is None and args.root is None:
        raise ValueError("Say where the samples are: --root, and --dataset or --images.")
    return folder_of(args.spec, args.root) if args.spec else args.root


def make(args: argparse.Namespace) -> None:
    ratios = args.ratios or (args.spec and args.spec.splits.fractions)
    if not ratios:
        raise ValueError("Say which shares to label: --ratios 1/8 1/16.")
    if args.group == "all" and not grouped(args):
        raise ValueError("--group all needs groups: --scene or --blocks.")
    splits = list(dict.fromkeys(split_name(ratio) for ratio in ratios))
    sides, given = part(args)
    counts = None if args.no_stratify else count(pairs_of([*sides.train, *sides.val]), args)
    lists = make_lists(sides.train, sides.val, splits, args.seed, counts, args.group == "all")
    remarks = sides.remarks + lists.remarks
    remarks += class_remarks(lists, sides.train, counts) if counts else []
    if args.spec and args.spec.layout and args.spec.layout.window:
        remarks.append("Lists name whole images: what is labelled is every window of an image.")
    files = {name: text_of(pairs) for name, pairs in lists.named().items()}
    if given is not None:
        files["val.txt"] = given.read_bytes().decode("utf-8")
    groups = {sample.image: sample.group for sample in [*sides.train, *sides.val]}
    summary = summarise(lists.named(), counts, groups.get if grouped(args) else None)
    about = {"command": args.command, "seed": args.seed, "dataset": args.dataset}
    about |= {"groups": grouped(args), "remarks": remarks, "lists": summary}
    files[SUMMARY] = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    new = write_split_folder(args.output, files, args.overwrite, given)
    report(summary, remarks)
    print(f"{'Wrote' if new else 'Nothing to do, there they are:'} {args.output}, seed {args.seed}")
    print(usage(args, splits))


def part(args: argparse.Namespace) -> tuple[Sides, Path | None]:
    """Training and validation, and the split list that fixed the latter."""
    source = find(args)
    if args.val is None and source.val is None:
        raise ValueError("Say which samples validate: --val 0.1, a number, or a val.txt.")
    val = source.val if args.val is None else parse_val(args.val)
    samples, given = list(source.samples), None
    if isinstance(val, Path):
        listed, given = listed_samples(val, args.root), val
        known = {sample.image for sample in samples}
        samples += [sample for sample in listed if sample.image not in known]
        val = frozenset(sample.image for sample in listed)
    samples, bounds = group_samples(samples, args.root, args.scene, args.blocks)
    return choose_sides(samples, val, args.seed, bounds), given


def find(args: argparse.Namespace) -> Source:
    if args.images is None:
        if args.spec is None:
            raise ValueError('Say which samples there are: --images "images/*.png", or --dataset.')
        return from_spec(args.spec, args.root)
    labels = args.labels or args.images.replace("images/", "labels/", 1)
    if labels == args.images:
        raise ValueError(f"Say where the masks of '{args.images}' are: --labels.")
    return from_patterns(args.root, args.images, labels)


def count(pairs: Sequence[Pair], args: argparse.Namespace) -> ClassCounts:
    """Pixels of the classes in all masks, with a progress bar."""
    masked = [pair for pair in pairs if pair[1] is not None]
    bar = tqdm(count_classes(masked, args.root, args.spec), "masks", len(masked), unit=" masks")
    return gather(bar, args.spec)


def grouped(args: argparse.Namespace) -> str | None:
    """How samples are grouped, in words."""
    if args.blocks is not None:
        return f"blocks of {args.blocks:g}"
    return args.scene


def show_lists(args: argparse.Namespace) -> None:
    """The table of lists that are there; exit code 1 where they contradict each other."""
    lists = read_split_folder(args.output)
    pairs = {pair for listed in lists.values() for pair in listed}
    samples = [Sample(image, label, image) for image, label in sorted(pairs, key=str)]
    samples, _ = group_samples(samples, args.root, args.scene, args.blocks)
    groups = {sample.image: sample.group for sample in samples}
    # An unlabelled list may name masks that nobody has.
    there = [pair for pair in sorted(pairs, key=str) if pair[1] and (args.root / pair[1]).is_file()]
    counts = None if args.no_stratify else count(there, args)
    wrong = faults(lists)
    report(summarise(lists, counts, groups.get if grouped(args) else None), wrong)
    sys.exit(1 if wrong else 0)


def report(summary: dict, remarks: Sequence[str]) -> None:
    headers, rows = table(summary)
    align = ["left", *["right"] * (len(headers) - 1)]
    print(text_table(rows, headers, "simple", disable_numparse=True, colalign=align))
    for remark in remarks:
        print(f"- {remark}")


def usage(args: argparse.Namespace, splits: Sequence[str]) -> str:
    """What to do with the lists."""
    inside = args.output.resolve().is_relative_to(args.root.resolve())
    folder = os.path.relpath(args.output, args.root) if inside else str(args.output.resolve())
    spec = args.spec
    if spec and spec.splits.folder == folder and set(splits) <= set(spec.splits.fractions):
        names = [f"'(\"{spec.name}_{splits[0]}_{role}\",)'" for role in ("labeled", "unlabeled")]
        return f"Train on them: DATASETS.LABELED {names[0]} DATASETS.UNLABELED {names[1]}"
    fractions = ", ".join(f'"{split}"' for split in splits)
    return f"In the dataset's YAML file: splits: {{folder: {folder}, fractions: [{fractions}]}}"


if __name__ == "__main__":
    main()
