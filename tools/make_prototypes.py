#!/usr/bin/env python
"""Make the text prototypes of a dataset, a file for the key GUIDANCE.PROTOTYPES.

make_prototypes.py --dataset whdld --pretrained openai --output whdld.npz
The file records the model, the weights, the concepts and the templates that it was made from.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from torch import Tensor

from co2s.config import get_co2s_cfg
from co2s.data.catalog import find_spec
from co2s.modeling.guidance.text.concepts import check_templates, read_templates
from co2s.modeling.guidance.text.file import check_npz_name, load_prototypes, write_prototypes
from co2s.modeling.guidance.text.record import PrototypeRecord, differences
from co2s.modeling.guidance.text.source import TextSource
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    make(parse_args(arguments))


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    student = get_co2s_cfg().MODEL.GLOBAL
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", required=True, help="a registered dataset, or the YAML file of one")
    add("--templates", type=Path, help="text file, one template a line, {} is the concept")
    add("--model", default=student.BACKBONE.MODEL, help="open_clip's model (default: %(default)s)")
    add("--pretrained", required=True, help="open_clip's tag of the weights, or a local file")
    add("--output", type=Path, required=True, help="the .npz file to write")
    add("--overwrite", action="store_true", help="replace a file that was made from something else")
    args = parser.parse_args(arguments)
    args.default_templates = tuple(student.GUIDANCE.TEMPLATES)
    return args


def make(args: argparse.Namespace) -> None:
    check_npz_name(args.output)
    spec = find_spec(args.dataset)
    templates = read_templates(args.templates) if args.templates else args.default_templates
    check_templates(templates)
    source = TextSource(args.model, args.pretrained)
    concepts = [entry.concepts for entry in spec.classes]
    record = source.record(spec.class_names, concepts, templates)
    if args.output.exists() and not args.overwrite and up_to_date(args.output, record):
        print(f"{args.output} is up to date: model, weights, concepts and templates are the same.")
        return
    prototypes = source.prototypes(concepts, templates)
    write_prototypes(args.output, prototypes, record)
    report(args.output, spec.name, prototypes, record)


def up_to_date(path: Path, wanted: PrototypeRecord) -> bool:
    """Whether a file has this record; ValueError where it has another one or none."""
    found = load_prototypes(path)[1]
    lines = ["it has no record"] if found is None else differences(found, wanted)
    if lines:
        raise ValueError(
            f"{path} exists and was made from something else:\n  " + "\n  ".join(lines) + "\n"
            "Give another --output, or --overwrite to replace it."
        )
    return True


def report(path: Path, dataset: str, prototypes: Tensor, record: PrototypeRecord) -> None:
    """Print what was written, and how alike the classes are."""
    print(f"{path}: {tuple(prototypes.shape)} for {dataset}, made with {record.model}")
    for name, concepts in zip(record.classes, record.concepts, strict=True):
        print(f"  {name}: {len(concepts)} concepts ({', '.join(concepts)})")
    print("templates: " + ", ".join(repr(template) for template in record.templates))
    print(f"SHA-256 of the weights: {record.digest}")
    cosines = prototypes @ prototypes.T
    pairs = list(combinations(range(len(prototypes)), 2))
    for word, choose in (("least", min), ("most", max)) if pairs else ():
        a, b = choose(pairs, key=lambda pair: cosines[pair].item())
        names = f"{record.classes[a]} and {record.classes[b]}"
        print(f"{word} alike: {names}, cosine {cosines[a, b]:.3f}")


if __name__ == "__main__":
    main()
