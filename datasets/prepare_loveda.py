#!/usr/bin/env python
"""Bring LoveDA's Train and Val, Rural and Urban together in one folder; safe to run twice.

python datasets/prepare_loveda.py --raw LoveDA --output datasets/loveda
Needed below --raw: {Train,Val}/{Rural,Urban}/{images_png,masks_png}/N.png.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from co2s.data import get_spec, read_classes
from co2s.data.reading.io import image_size
from co2s.tool import tool
from co2s.files import copy_whole

IMAGES = 4191
SETS = [(part, area) for part in ("Train", "Val") for area in ("Rural", "Urban")]


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    prepare(args.raw, args.output, args.link)


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    usual = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "loveda"
    add("--raw", type=Path, required=True, help="folder with the unpacked Train and Val")
    add("--output", type=Path, default=usual, help="its folder (%(default)s)")
    add("--link", action="store_true", help="hard links in place of copies: no more disk space")
    return parser.parse_args(arguments)


def prepare(raw: Path, output: Path, link: bool) -> None:
    pairs = [pair for part, area in SETS for pair in find_pairs(raw, part, area)]
    for part in ("images", "labels"):
        (output / part).mkdir(parents=True, exist_ok=True)
    bar = tqdm(pairs, "loveda", unit=" images")
    written = sum(bring(image, mask, output, name, link) for image, mask, name in bar)
    print(f"{output}: {len(pairs)} images, {written} of them new.")
    if len(pairs) != IMAGES:
        print(f"The paper has {IMAGES} images (3771 + 420), all of Train and Val.")


def find_pairs(raw: Path, part: str, area: str) -> list[tuple[Path, Path, str]]:
    """Image, mask and new name of everything in one of the four folders."""
    images, masks = (raw / part / area / kind for kind in ("images_png", "masks_png"))
    for folder in (images, masks):
        if not folder.is_dir():
            there = visible(raw.iterdir()) if raw.is_dir() else "no such folder"
            raise FileNotFoundError(f"Expected the folder {folder}; found in {raw}: {there}.")
    names = sorted(visible(images.glob("*.png")), key=lambda name: (len(name), name))
    missing = [name for name in names if not (masks / name).is_file()]
    if missing or not names:
        raise FileNotFoundError(
            f"{images} holds {len(names)} images, and {len(missing)} of them have no mask in "
            f"{masks}: {missing[:3]}. Unpack the archive again."
        )
    stem = f"{part}_{area}".lower()
    return [(images / name, masks / name, f"{stem}_{name}") for name in names]


def visible(paths: Iterable[Path]) -> list[str]:
    """Their names, without `._0.png` and `.DS_Store` of macOS."""
    return sorted(path.name for path in paths if not path.name.startswith("."))


def bring(image: Path, mask: Path, output: Path, name: str, link: bool) -> bool:
    """Copy a pair unless it is there; ValueError for a mask that is none of LoveDA's."""
    targets = output / "images" / name, output / "labels" / name
    if all(target.is_file() for target in targets):
        return False
    classes = read_classes(str(mask), get_spec("loveda"))
    height, width = image_size(str(image))
    if (height, width) != classes.shape:
        raise ValueError(f"{image} is {height} x {width} pixels, its mask {classes.shape}.")
    for source, target in zip((image, mask), targets, strict=True):
        copy_whole(source, target, link)
    return True


if __name__ == "__main__":
    main()
