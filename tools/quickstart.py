#!/usr/bin/env python
"""The quickstart: draw aerial tiles, train Co2S on few labels, score it, map an unseen scene."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from co2s.d2 import DefaultPredictor, MetadataCatalog, default_argument_parser
from co2s.data import read_image
from co2s.engine import SemiSupervisedTrainer, load_cfg, setup
from co2s.files import write_png
from co2s.model_zoo import get_config_file
from co2s.preparation.synthetic import write_synthetic_aerial
from co2s.tool import tool

DATASET = "synthetic_aerial"


@tool
def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    root = write_synthetic_aerial(args.output / "data" / DATASET)
    train(args, root)
    picture = map_scene(args.output, root / "demo" / "images" / "scene.png")
    report(args.output, picture, time.perf_counter() - start)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output/quickstart"))
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    return parser.parse_args()


def train(args: argparse.Namespace, root: Path) -> None:
    """What `tools/train_net.py --config-file configs/quickstart.yaml` does."""
    arguments = default_argument_parser().parse_args(
        ["--config-file", get_config_file("quickstart.yaml")]
    )
    arguments.opts = ["DATASETS.ROOT", str(root), "OUTPUT_DIR", str(args.output), *args.opts]
    trainer = SemiSupervisedTrainer(setup(arguments))
    trainer.resume_or_load(resume=False)
    trainer.train()


def map_scene(output: Path, scene: Path) -> Path:
    """Predict a scene that is larger than any tile with detectron2's DefaultPredictor."""
    best, last = output / "model_best.pth", output / "model_final.pth"
    weights = str(best if best.exists() else last)
    predictor = DefaultPredictor(load_cfg(str(output / "config.yaml"), ["MODEL.WEIGHTS", weights]))
    image = read_image(str(scene))[0]
    classes = predictor(image[:, :, ::-1])["sem_seg"].argmax(dim=0).cpu().numpy()
    palette = np.array(MetadataCatalog.get(f"{DATASET}_val").stuff_colors, dtype=np.uint8)
    path = output / "scene_map.png"
    write_png(path, np.hstack([image, palette[classes]]))
    return path


def report(output: Path, picture: Path, seconds: float) -> None:
    """Say what was reached and where everything lies."""
    folder = output / "inference" / f"{DATASET}_val"
    scores = json.loads((folder / "scores.json").read_text())["scores"]
    reached = ", ".join(f"{name} {values['mIoU']:.1f}" for name, values in scores.items())
    print(f"\nmIoU in %: {reached}  ({seconds / 60:.1f} minutes)")
    print(f"scores     {folder / 'scores.json'}")
    print(f"panels     {folder / 'panels'}")
    print(f"curves     {output / 'curves.png'}")
    print(f"scene map  {picture}")


if __name__ == "__main__":
    main()
