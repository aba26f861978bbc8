#!/usr/bin/env python
"""Convert a pair of the authors' checkpoints into one of co2s, with the configuration it needs.

convert_checkpoint.py --config-file configs/co2s_whdld.yaml --global best_clip.pth \\
    --local best_dinov3.pth --output co2s_whdld.pth [KEY VALUE ...]
Writes co2s_whdld.pth and beside it co2s_whdld.yaml: the given configuration with the switches that
make the students compute as the authors' release does. Both are written, or none.
"""

import argparse
import sys
from pathlib import Path

import torch

from co2s.d2 import CfgNode
from co2s.engine import load_cfg
from co2s.files import write_together
from co2s.model_zoo.authors import convert
from co2s.modeling.weights import file_digest
from co2s.tool import tool

USE = """\
Score it:
  python {train_net} --eval-only --config-file {config}
Predict with it, for an image (H, W, 3) as OpenCV reads it:
  from co2s.d2 import DefaultPredictor
  from co2s.engine import load_cfg
  cfg = load_cfg("{config}")
  probabilities = DefaultPredictor(cfg)(image)["sem_seg"]"""


@tool
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    config = check_output(args)
    state, cfg = convert(load_cfg(args.config_file, args.opts), args.global_file, args.local_file)
    # A relative path would be looked for in whatever folder the user is in later.
    cfg.MODEL.WEIGHTS = str(args.output.resolve())
    cfg.MODEL.DEVICE = "cuda"  # for whatever machine it will run on: load_cfg takes what is there
    cfg.OUTPUT_DIR = f"{cfg.OUTPUT_DIR}_converted"  # not into the folder of one's own runs
    write_pair(args.output, state, config, head(args) + cfg.dump())
    report(args.output, config, cfg, state)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--config-file", required=True, help="of the dataset that the pair was trained on")
    add("--global", required=True, dest="global_file", help="best_clip.pth")
    add("--local", required=True, dest="local_file", help="best_dinov3.pth")
    add("--output", required=True, type=Path, help="the new checkpoint, .pth")
    add("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    return parser.parse_args(argv)


def check_output(args: argparse.Namespace) -> Path:
    """The path of the configuration beside the output; ValueError where either cannot be."""
    output: Path = args.output
    if output.suffix != ".pth":
        raise ValueError(f"--output is '{output}'; checkpoints are read by their suffix .pth.")
    if not output.resolve().parent.is_dir():
        raise ValueError(f"--output is '{output}', and its folder does not exist. Make it first.")
    config = output.with_suffix(".yaml")
    for path in (output, config):
        if path.exists():
            raise ValueError(f"'{path}' exists. Remove it, or give another --output.")
    return config


def head(args: argparse.Namespace) -> str:
    """What the written configuration says of itself."""
    files = (Path(args.global_file), Path(args.local_file))
    digests = "".join(f"#   {path.name}  SHA-256 {file_digest(path)}\n" for path in files)
    return (
        f"# {args.config_file} for a checkpoint of the method's authors, converted from\n{digests}"
        "# Their students compute with exact GELU and LayerNorm eps 1e-6, and send the logits by\n"
        "# way of 224 or 256 pixels. MODEL.WEIGHTS is where the checkpoint was written: change it\n"
        "# when the file moves.\n"
    )


def write_pair(path: Path, state: dict[str, torch.Tensor], config: Path, text: str) -> None:
    """Write checkpoint and configuration, both or none."""
    write_together(
        {
            path: lambda draft: torch.save({"model": state}, draft),
            config: lambda draft: draft.write_text(text, encoding="utf-8"),
        }
    )


def report(output: Path, config: Path, cfg: CfgNode, state: dict[str, torch.Tensor]) -> None:
    values = sum(tensor.numel() for tensor in state.values()) / 1e6
    print(f"Wrote {output} ({len(state)} tensors, {values:.1f} M values) and {config}.")
    print(
        f"{len(state['students.local.guidance.queries'])} classes. INPUT.CROP_SIZE "
        f"{cfg.INPUT.CROP_SIZE} is the configuration's: the files do not record a crop."
    )
    train_net = Path(sys.argv[0]).with_name("train_net.py")
    print(USE.format(train_net=train_net, config=config))


if __name__ == "__main__":
    main()
