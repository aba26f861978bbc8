"""Connected components of a class map: pixels of one class that touch along their sides."""

import cv2
import numpy as np

from ..products import NODATA


def label_components(classes: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels (H, W) int32 of the components of all classes, 1 to count (0: nodata), and count."""
    height, width = classes.shape
    # OpenCV knows foreground and background only. So pixels are drawn apart, with a bridge between
    # neighbours of the same class, and one call labels all classes.
    bridged = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    known = classes != NODATA
    bridged[::2, ::2] = known
    bridged[::2, 1::2] = (classes[:, 1:] == classes[:, :-1]) & known[:, 1:]
    bridged[1::2, ::2] = (classes[1:] == classes[:-1]) & known[1:]
    number, labels = cv2.connectedComponents(bridged, connectivity=4, ltype=cv2.CV_32S)
    return np.ascontiguousarray(labels[::2, ::2]), number - 1


def first_pixels(labels: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,) the first pixel of each label, as an index into the flattened array."""
    flat = labels.ravel()
    first = np.zeros(count + 1, np.int64)
    first[flat[::-1]] = np.arange(flat.size - 1, -1, -1)  # the last one assigned stays
    return first
