#!/usr/bin/env python
"""Cut the scenes of GID-15 into tiles of 512 pixels; safe to run twice.

python datasets/prepare_gid15.py --raw GID-15 --output datasets/gid15
Needed below --raw: RGB scenes and masks in 15 colours, black where nothing is labelled.
"""

from collections.abc import Sequence

from co2s.tool import tool
from co2s.preparation.tiling import Distribution, parse_args, prepare

TILES = 3420
GID15 = Distribution(
    "gid15",
    images="image_RGB/{scene}.tif",
    labels="label_15classes/{scene}_15label.tif",
    # The paper's 3420 tiles are 10 scenes x 18 x 19: the stride of 3/4 of a tile that gives them.
    stride=384,
)


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(GID15, __doc__, arguments)
    done = prepare(GID15, args)
    print(done.text)
    if done.tiles != TILES:
        print(f"The paper has {TILES} tiles (2736 + 684), which is what 10 scenes give.")


if __name__ == "__main__":
    main()
