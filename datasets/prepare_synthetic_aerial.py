"""Write the data set synthetic_aerial (seconds, 25 MB); safe to run twice."""

import argparse
import os
from pathlib import Path

from co2s.tool import tool
from co2s.preparation.synthetic import write_synthetic_aerial


@tool
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    usual = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "synthetic_aerial"
    parser.add_argument("--output", type=Path, default=usual, help=f"its folder ({usual})")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"synthetic_aerial is in {write_synthetic_aerial(args.output, args.seed)}")


if __name__ == "__main__":
    main()
