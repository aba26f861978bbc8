#!/usr/bin/env python
"""Cut the 38 scenes of ISPRS Potsdam into tiles of 512 pixels; safe to run twice.

python datasets/prepare_potsdam.py --raw Potsdam --output datasets/potsdam
Needed below --raw: top_potsdam_2_10_RGB.tif and top_potsdam_2_10_label.tif of every scene. Masks
without boundaries are black there, which is left unlabelled.
"""

from collections.abc import Sequence

from co2s.tool import tool
from co2s.preparation.tiling import Distribution, parse_args, prepare

SCENES = 38
POTSDAM = Distribution(
    "potsdam",
    images="top_potsdam_{scene}_RGB.tif",
    labels="top_potsdam_{scene}_label.tif",
)


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(POTSDAM, __doc__, arguments)
    done = prepare(POTSDAM, args)
    print(done.text)
    if done.scenes != SCENES:
        print(f"The paper's 4924 + 548 tiles are those of {SCENES} scenes of 6000 x 6000 pixels.")


if __name__ == "__main__":
    main()
