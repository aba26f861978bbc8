#!/usr/bin/env python
"""Ask a vision-language model where images show each class, and store its boxes for a purifier.

ground_classes.py --config-file C --output boxes/ [--segmenter facebook/sam-vit-base]
ground_classes.py --dataset my.yaml --split my_1_8_unlabeled --output boxes/

One file for each image of DATASETS.UNLABELED, or of the splits that are named: boxes by class, who
said so and to which question, the image's digest. What is there is not asked for again, so that the
same command goes on where it was cut. Training reads the folder with MODEL.PURIFIER.NAME
VLMPurifier and MODEL.PURIFIER.BOXES. --boxes-from takes the boxes of any other source.
--boxes-from-labels makes them from hidden labels: an upper bound for studies, and no method.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from co2s.d2 import setup_logger
from co2s.data import get_records, get_spec, register_spec_file, set_root
from co2s.data.catalog import known_masks
from co2s.data.spec import DatasetSpec
from co2s.engine import load_cfg
from co2s.modeling.metadata import declared_classes
from co2s.preparation.grounding import Asked, Finder, FromLabels, Given, Summary, ground
from co2s.preparation.grounding.prompts import PROMPT, check_prompt
from co2s.preparation.grounding.qwen import Qwen
from co2s.preparation.grounding.segmenter import Sam
from co2s.tool import tool

MODEL, SEGMENTER = "Qwen/Qwen2.5-VL-3B-Instruct", "facebook/sam-vit-base"


class Task(NamedTuple):
    """The splits whose images are grounded, and name and concepts of the classes."""

    splits: tuple[str, ...]
    classes: list[tuple[str, tuple[str, ...]]]
    folder: str  # of the configuration

    @property
    def specs(self) -> dict[str, DatasetSpec]:
        found = [get_spec(name) for name in self.splits]
        return {spec.name: spec for spec in found}


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    setup_logger(name="co2s")
    check_prompt(args.prompt)
    task = task_of(args)
    folder = args.output or task.folder
    if not folder:
        raise ValueError("Say where the boxes shall lie: --output.")
    records = {(r["dataset"], r["image_id"]): r for n in task.splits for r in get_records(n)}
    made = ground(
        [*records.values()],
        task.specs,
        Path(folder),
        [name for name, _ in task.classes],
        finder_of(args, task),
        overwrite=args.overwrite,
        progress=lambda parts, total: tqdm(parts, total=total, unit="batch", disable=None),
    )
    print(told(made, task, folder))
    if args.boxes_from_labels:
        print("These boxes are made from the LABELS: an upper bound, not a method.")


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--config-file", default="", help="of the training: its classes and DATASETS.UNLABELED")
    add("--dataset", nargs="+", default=[], metavar="YAML", help="files of datasets to register")
    add("--split", nargs="+", default=[], metavar="NAME", help="such as whdld_1_8_unlabeled")
    add("--root", help="folder of their images, where it is not the usual place")
    add("--output", default="", help="folder for the boxes (default: MODEL.PURIFIER.BOXES)")
    add("--model", default=MODEL, help="a Qwen2.5-VL by name or folder (default: %(default)s)")
    add("--revision", help="commit of the model's weights (default: the latest)")
    add("--max-tokens", type=int, default=1024, help="of an answer (default: %(default)s)")
    add("--prompt", default=PROMPT, help="with {name} and {concepts} of a class")
    add("--score", type=float, default=0.95, help="of a box (default: %(default)s)")
    add("--together", type=int, default=8, help="questions at once (default: %(default)s)")
    add("--segmenter", default="", help=f"a SAM that makes masks of boxes, such as {SEGMENTER}")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--boxes-from", type=Path, nargs="+", default=[], metavar="JSON", help="ask no model")
    add("--boxes-from-labels", action="store_true", help="an UPPER BOUND, made of hidden labels")
    add("--least-area", type=int, default=64, help="of those, in pixels (default: %(default)s)")
    add("--outlines", action="store_true", help="those have masks, too")
    add("--overwrite", action="store_true", help="replace boxes that are made from something else")
    add("opts", nargs="*", help="KEY VALUE ... of the configuration")
    args = parser.parse_args(arguments)
    if args.boxes_from and args.boxes_from_labels:
        parser.error("--boxes-from and --boxes-from-labels: give one of them")
    if not 0 < args.score <= 1:
        parser.error(f"--score {args.score} must be above 0, up to 1")
    return args


def task_of(args: argparse.Namespace) -> Task:
    """ValueError where no split or no class is known."""
    for file in args.dataset:
        register_spec_file(file)
    splits, folder = tuple(dict.fromkeys(args.split)), ""
    for name in splits if args.root else ():
        set_root(name, args.root)
    if args.config_file or args.opts:
        cfg = load_cfg(args.config_file, args.opts)
        splits, folder = splits or tuple(cfg.DATASETS.UNLABELED), cfg.MODEL.PURIFIER.BOXES
        found = declared_classes(cfg)
        classes = [*zip(found.names, found.concepts, strict=True)]
    else:
        named = [entry for name in splits for entry in get_spec(name).classes]
        first = {entry.name: entry.concepts for entry in named}
        classes = [*first.items()]
    if not splits or not classes:
        raise ValueError(
            "Say which images: --config-file FILE, whose DATASETS.UNLABELED are taken, or --split "
            "NAME ..., of --dataset YAML where it is not registered; with classes in one of them."
        )
    return Task(splits, classes, folder)


def finder_of(args: argparse.Namespace, task: Task) -> Finder:
    """Who finds the boxes."""
    if args.boxes_from_labels:
        hidden = known_masks([n for n in task.splits if n.endswith("unlabeled")])
        return FromLabels(hidden, task.specs, args.least_area, args.score, args.outlines)
    segmenter = Sam.load(args.segmenter, args.device) if args.segmenter else None
    if args.boxes_from:
        names = [name for name, _ in task.classes]
        return Given(args.boxes_from, names, task.specs, segmenter)
    model = Qwen.load(args.model, args.device, args.revision, args.max_tokens)
    return Asked(model, task.classes, args.prompt, args.score, segmenter, args.together)


def told(made: Summary, task: Task, folder: str) -> str:
    """What lies in the folder, and what of the answers was of no use."""
    lines = [f"{made.made} images grounded, {made.there} were there already, in {folder}."]
    counts = ", ".join(f"{name} {made.boxes[name]}" for name, _ in task.classes)
    lines.append(f"{made.boxes.total()} boxes: {counts}. {made.bare} images have none.")
    if made.dropped:
        reasons = ", ".join(f"{why} {count}" for why, count in made.dropped.most_common())
        lines.append(f"Dropped: {reasons}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
