#!/usr/bin/env python
"""Say what to label next: windows of predicted maps, ranked by what labelling them would teach.

suggest_labels.py --input maps/ --output suggestions/ [--scenes scenes/] [--count 20] [--window 256]

The maps are those of tools/predict.py with --disagreement --entropy. A window's score is the
weighted mean of its ranks (0 to 1) among all windows by three figures: how much the students
disagree, the entropy of the prediction, and how rare the predicted classes are in all maps. Chosen
from the best on, no two beside each other. docs/label_loop.md shows how to go on in QGIS.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from co2s.d2 import setup_logger
from co2s.inference.suggestions.contact_sheet import find_scenes
from co2s.inference.suggestions.files import write_suggestions
from co2s.inference.suggestions.ranking import Suggestions, suggest
from co2s.inference.suggestions.windows import find_maps
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    setup_logger(name="co2s")
    found = suggest(
        find_maps(args.input),
        args.count,
        args.window,
        dict(args.weights),
        args.labeled,
        lambda maps: tqdm(maps, unit="map", leave=False, disable=None),
    )
    written = write_suggestions(found, args.output, find_scenes(found.maps, args.scenes))
    print(summary(found, args.count))
    print("\n".join(str(path) for path in written))


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--input", nargs="+", required=True, help="class maps, folders or patterns of them")
    add("--output", type=Path, required=True, help="folder for the GeoPackage, list and pictures")
    add("--scenes", type=Path, help="folder of the scenes, for the pictures")
    add("--count", type=int, default=20, help="windows to suggest (default: %(default)s)")
    add("--window", type=int, default=256, help="their side in pixels (default: %(default)s)")
    parts = "disagreement, entropy (doubt = 1 - confidence where there is neither), rarity"
    add(
        "--weights",
        nargs="+",
        type=weight,
        default=[],
        help=f"PART=NUMBER, 1 if not given; {parts}",
    )
    labeled = "vector files with a column `class`: where they are labelled nothing is suggested"
    add("--labeled", type=Path, nargs="+", default=[], help=labeled)
    return parser.parse_args(arguments)


def weight(text: str) -> tuple[str, float]:
    """ "rarity=2" as ("rarity", 2.0)."""
    name, _, value = text.partition("=")
    return name, float(value)


def summary(found: Suggestions, asked: int) -> str:
    """What was found, and what was left out, in words."""
    maps, chosen = len(found.maps), len(found.chosen)
    lines = [f"{chosen} of {found.seen} windows of {maps} map{'s' if maps > 1 else ''} suggested."]
    if found.empty:
        lines.append(f"Left out as mostly nodata: {found.empty}.")
    if found.labelled:
        lines.append(f"Left out as labelled already: {found.labelled}.")
    if chosen < asked:
        lines.append(f"{asked} were asked for: the others lie beside those chosen.")
    if len({one.crs for one in found.maps}) > 1:
        lines.append(f"The maps have several CRSs: the layers are in {found.footprints.crs}.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
