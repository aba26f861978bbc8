"""Images that a user hands over as arrays: is it what a model was trained on?"""

from typing import Any

import numpy as np


def check_image(image: Any, *, bands: int) -> np.ndarray:
    """The image (H, W, bands) uint8 that it is, for a model of so many bands.

    Nothing is converted: what else might be meant is for the caller to say. ValueError says what
    was found, what is wanted and how to get there.
    """
    wanted = f"a model of {bands} bands takes an array (height, width, {bands}) of uint8"
    if image is None:
        raise ValueError(
            f"The image is None; {wanted}. cv2.imread returns None for a file that is missing or "
            "cannot be read: check its path."
        )
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f"The image is a {type(image).__module__}.{type(image).__qualname__}; {wanted}: "
            "np.asarray(image) of a PIL image, image.permute(1, 2, 0).cpu().numpy() of a tensor."
        )
    found = f"The image has the shape {image.shape} and {image.dtype} values; {wanted}"
    if image.shape[2:] != (bands,) or image.ndim != 3:
        raise ValueError(f"{found}. {_about_shape(image.shape, bands)}")
    if image.size == 0:
        raise ValueError(f"{found}, and this one has no pixels.")
    if image.dtype != np.uint8:
        raise ValueError(f"{found}. {_about_values(image)}")
    return image


def _about_shape(shape: tuple[int, ...], bands: int) -> str:
    """What a shape seems to be, and the way from there."""
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        if bands == 3:
            return "A grey image is shown in three bands: cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)."
        return f"This is one band: stack all {bands}, np.dstack([...])."
    if len(shape) == 3 and shape[0] == bands:
        return "The bands come first here: image.transpose(1, 2, 0)."
    if len(shape) == 3 and (shape[2], bands) == (4, 3):
        return "If the fourth band is alpha, leave it out: image[..., :3]."
    if len(shape) == 4:
        return "One image at a time: image[0] of a batch."
    return "Give the bands that the model was trained on, in their order (`raster.bands`)."


def _about_values(image: np.ndarray) -> str:
    """What values seem to be, and the way to 0..255."""
    if image.dtype.kind not in "biuf":
        return "Its values are no plain numbers."
    if image.dtype.kind != "f":
        if image.dtype == bool or (image.min() >= 0 and image.max() <= 255):
            return "Its values fit into 8 bits: image.astype(np.uint8)."
        return (
            f"Its values run from {image.min()} to {image.max()}: scale them as the training "
            "images were (`raster.scale` in the dataset's YAML file)."
        )
    finite = image[np.isfinite(image)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    if low >= 0 and high <= 1:
        return "Its values lie in 0..1: np.rint(image * 255).astype(np.uint8)."
    if low >= 0 and high <= 255:
        return "Its values lie in 0..255: np.rint(image).astype(np.uint8)."
    return (
        f"Its values run from {low:g} to {high:g}: scale them as the training images were "
        "(`raster.scale` in the dataset's YAML file)."
    )
