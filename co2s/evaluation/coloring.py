"""Label maps as RGB pictures; pure functions on numpy."""

from collections.abc import Sequence

import numpy as np

from co2s.structures import IGNORE_LABEL

Color = tuple[int, int, int]

IGNORE_DARK, IGNORE_LIGHT = 0, 70
# What a pixel of the disagreement picture may say, in the order of the legend.
FIRST_RIGHT, SECOND_RIGHT, NEITHER_RIGHT, UNLABELED = range(4)
VERDICT_COLORS: dict[int, Color] = {
    FIRST_RIGHT: (0, 114, 178),
    SECOND_RIGHT: (230, 159, 0),
    NEITHER_RIGHT: (204, 33, 107),
    UNLABELED: (140, 140, 140),
}


def verdict_names(first: str, second: str) -> dict[int, str]:
    """What each verdict says of two predictions of these names."""
    return {
        FIRST_RIGHT: f"only {first} is right",
        SECOND_RIGHT: f"only {second} is right",
        NEITHER_RIGHT: "neither is right",
        UNLABELED: "no label to judge by",
    }


def color_labels(
    label: np.ndarray, palette: Sequence[Sequence[int]], ignore: int = IGNORE_LABEL
) -> np.ndarray:
    """Label map (H, W) -> RGB (H, W, 3) uint8; ignored pixels black with grey stripes."""
    table = np.zeros((max(ignore, len(palette) - 1) + 1, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    rgb = table[label]
    ignored = label == ignore
    rgb[ignored] = _stripes(label.shape)[ignored][:, None]
    return rgb


def _stripes(shape: tuple[int, ...]) -> np.ndarray:
    """Diagonal stripes (H, W) uint8, of a width that shows at any picture size."""
    rows, columns = np.indices(shape)
    width = max(max(shape) // 64, 2)
    return np.where((rows + columns) // width % 4 == 0, IGNORE_LIGHT, IGNORE_DARK).astype(np.uint8)


def judge(
    first: np.ndarray, second: np.ndarray, truth: np.ndarray, ignore: int = IGNORE_LABEL
) -> np.ndarray:
    """Who is right where two label maps (H, W) differ: a key of VERDICT_COLORS; else -1."""
    verdict = np.full(truth.shape, NEITHER_RIGHT)
    verdict[first == truth] = FIRST_RIGHT
    verdict[second == truth] = SECOND_RIGHT
    verdict[truth == ignore] = UNLABELED
    verdict[first == second] = -1
    return verdict


def color_disagreement(verdict: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Verdicts (H, W) in their colours over a pale grey version of the image (H, W, 3) uint8."""
    pale = 150 + 0.4 * image.mean(axis=2, keepdims=True)
    rgb = np.repeat(np.clip(pale, 0, 255), 3, axis=2).astype(np.uint8)
    for value, color in VERDICT_COLORS.items():
        rgb[verdict == value] = color
    return rgb
