#!/usr/bin/env python
"""Draw the attention of one layer of a student: every head, their mean and maximum, on one sheet.

visualize_attention.py --config-file FILE --image IMAGE --output SHEET.png
    [--student global|local] [--layer -1] [--query cls | ROW,COLUMN] [--max-side PIXELS]
    [MODEL.WEIGHTS CHECKPOINT] [KEY VALUE ...]

The query is the class token, or the patch at a pixel of the image. Without MODEL.WEIGHTS the
student is as at the start of training.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from co2s.d2 import CfgNode, DetectionCheckpointer, build_model, setup_logger
from co2s.data import get_spec, read_image
from co2s.data.spec import RasterSpec
from co2s.engine import load_cfg
from co2s.evaluation.attention import write_attention
from co2s.modeling.backbone.attention import Attention, attention_of
from co2s.modeling.guidance import FROM_CHECKPOINT
from co2s.modeling.student import Student, build_student
from co2s.tool import tool


@tool
def main() -> None:
    args = parse_args()
    setup_logger(name="co2s")
    cfg = load_cfg(args.config_file, args.opts)
    if args.student not in cfg.MODEL.STUDENTS:
        raise ValueError(f"--student {args.student}: the students are {list(cfg.MODEL.STUDENTS)}.")
    image = read_image(args.image, raster_of(cfg))[0]
    seen = fit(image, args.max_side or cfg.INPUT.CROP_SIZE)
    pixel = parse_query(args.query, image.shape[:2])
    student = load_student(cfg, args.student)
    attention = attend(student, seen, args.layer)
    patch_size = student.backbone.size_divisibility
    patch = patch_at(pixel, image.shape[:2], seen.shape[:2], patch_size) if pixel else None
    title = f"{args.student} student, layer {attention.layer} (of 0 to {attention.layers - 1})"
    asks = f"the patch {patch} at pixel {pixel}, framed" if patch else "the class token"
    caption = [
        describe_image(args.image, image, seen, attention.grid),
        describe_model(cfg, args.student),
        f"Attention of {asks}. Dark is 0, bright is the largest value, which each heading names.",
        *notes(attention),
    ]
    heads = to_patches(attention, patch)[0].cpu().numpy()
    text, colors = "\n".join(caption), seen[..., :3]
    print(write_attention(args.output, title, text, colors, heads, patch_size, patch))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--image", required=True, help="of any size, as the dataset's")
    parser.add_argument("--output", required=True, help="the sheet, a PNG")
    parser.add_argument("--student", default="global", help="one of MODEL.STUDENTS")
    parser.add_argument(
        "--layer", type=int, default=-1, help="from 0, or from the end: -1 is the last"
    )
    parser.add_argument(
        "--query", default="cls", help="cls, or ROW,COLUMN: a pixel of the image, whose patch asks"
    )
    parser.add_argument(
        "--max-side", type=int, default=0, help="larger images are shrunk; default: INPUT.CROP_SIZE"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="configuration, KEY VALUE pairs")
    return parser.parse_args()


def raster_of(cfg: CfgNode) -> RasterSpec | None:
    """How the images of the configuration's first dataset are read."""
    names = (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST)
    return get_spec(names[0]).raster if names else None


def parse_query(text: str, size: tuple[int, int]) -> tuple[int, int] | None:
    """A pixel (row, column) of an image of that size, or None for the class token."""
    if text == "cls":
        return None
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--query is {text!r}; it may be cls, or ROW,COLUMN such as 40,72."
        ) from None
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise ValueError(
            f"--query {text} is outside the image, whose rows are 0 to {size[0] - 1} and whose "
            f"columns are 0 to {size[1] - 1}."
        )
    return row, column


def fit(image: np.ndarray, max_side: int) -> np.ndarray:
    """The image, shrunk where its longer side is too long."""
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def load_student(cfg: CfgNode, name: str) -> Student:
    """The student of a checkpoint, or alone and untrained where MODEL.WEIGHTS is empty."""
    if not cfg.MODEL.WEIGHTS:
        node = cfg.MODEL[name.upper()].clone()
        node.defrost()
        node.GUIDANCE.PROTOTYPES = FROM_CHECKPOINT  # attention is the backbone's: no text is needed
        return build_student(cfg, node).to(cfg.MODEL.DEVICE).eval()
    model = build_model(cfg)
    DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model.eval().students[name]


def attend(student: Student, image: np.ndarray, layer: int) -> Attention:
    images = torch.from_numpy(image).permute(2, 0, 1)[None].to(student.pixel_mean.device)
    try:
        return attention_of(student.backbone, student.normalize(images), layer)
    except ValueError as error:
        raise ValueError(f"--layer {layer}: {error}") from None


def patch_at(
    pixel: tuple[int, int], size: tuple[int, int], seen: tuple[int, int], patch_size: int
) -> tuple[int, int]:
    """The patch over a pixel of the image, whose size (rows, columns) became `seen`."""
    row, column = (
        int((p + 0.5) * new / old) // patch_size
        for p, old, new in zip(pixel, size, seen, strict=True)
    )
    return row, column


def to_patches(attention: Attention, patch: tuple[int, int] | None) -> torch.Tensor:
    try:
        return attention.to_patches(patch)
    except ValueError as error:
        raise ValueError(f"--query: {error} Use --query ROW,COLUMN.") from None


def describe_image(path: str, image: np.ndarray, seen: np.ndarray, grid: tuple[int, int]) -> str:
    size = f"{image.shape[1]} x {image.shape[0]} pixels"
    if seen.shape != image.shape:
        size += f", seen at {seen.shape[1]} x {seen.shape[0]}"
    return f"{Path(path).name}: {size}, {grid[0]} rows of {grid[1]} patches"


def describe_model(cfg: CfgNode, name: str) -> str:
    node = cfg.MODEL[name.upper()].BACKBONE
    weights = cfg.MODEL.WEIGHTS or node.WEIGHTS or "none, random initialisation"
    weights = weights if len(weights) <= 60 else f"...{weights[-57:]}"
    return f"{node.NAME} {node.MODEL}, weights: {weights}"


def notes(attention: Attention) -> list[str]:
    """What a reader of the sheet would otherwise misunderstand."""
    found = []
    if attention.prefix:
        tokens = "class token" if attention.has_class_token else ""
        registers = attention.prefix - attention.has_class_token
        if registers:
            tokens += f"{' and ' if tokens else ''}{registers} register tokens"
        found.append(f"What is not on patches is on the {tokens}.")
    if not attention.used:
        found.append(
            "The student does not use this layer's attention: it reads its value path only."
        )
    return found


if __name__ == "__main__":
    main()
