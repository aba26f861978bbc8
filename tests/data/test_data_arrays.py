"""Arrays of users: what is none of a model's images is refused, and the way to one is told."""

import numpy as np
import pytest
import torch
from PIL import Image

from co2s.d2.images import check_image

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
PICTURE[0, 0] = 0, 100, 255


def test_an_image_as_trained_on_is_left_alone():
    assert check_image(PICTURE, bands=3) is PICTURE
    five = np.zeros((3, 5, 5), np.uint8)  # three rows are no bands
    assert check_image(five, bands=5) is five


@pytest.mark.parametrize(
    ("image", "bands", "words"),
    [
        (None, 3, r"is None; .*\(height, width, 3\) of uint8.*cv2\.imread"),
        (Image.fromarray(PICTURE), 3, r"is a PIL\..*np\.asarray"),
        (torch.zeros(3, 4, 6), 3, r"is a torch\.Tensor.*permute\(1, 2, 0\)"),
        (PICTURE[..., 0], 3, r"\(5, 6\) and uint8.*grey image.*COLOR_GRAY2BGR"),
        (PICTURE[..., :1], 3, r"\(5, 6, 1\).*grey image"),
        (PICTURE[..., 0], 4, r"one band: stack all 4"),
        (PICTURE.transpose(2, 0, 1), 3, r"\(3, 5, 6\).*image\.transpose\(1, 2, 0\)"),
        (np.dstack([PICTURE, PICTURE[..., 0]]), 3, r"\(5, 6, 4\).*alpha.*image\[\.\.\., :3\]"),
        (PICTURE, 4, r"\(height, width, 4\).*that the model was trained on"),
        (PICTURE[None], 3, r"\(1, 5, 6, 3\).*One image at a time: image\[0\]"),
        (PICTURE[:0], 3, "has no pixels"),
        (np.zeros(3, np.uint8), 3, r"shape \(3,\)"),
        (PICTURE.astype(np.uint16) * 257, 3, r"uint16.*run from 0 to 65535.*raster\.scale"),
        (PICTURE.astype(np.int64), 3, r"int64.*fit into 8 bits: image\.astype\(np\.uint8\)"),
        (PICTURE > 9, 3, r"bool.*fit into 8 bits"),
        ((PICTURE / 255).astype(np.float32), 3, r"float32.*0\.\.1: np\.rint\(image \* 255\)"),
        (PICTURE.astype(float), 3, r"float64.*0\.\.255: np\.rint\(image\)\.astype"),
        (PICTURE - 100.0, 3, r"run from -100 to .*raster\.scale"),
        (np.full((2, 2, 3), np.nan), 3, r"float64.*run from nan"),
        (PICTURE.astype(object), 3, r"object"),
        (np.full((2, 2, 3), "a"), 3, r"<U1"),
    ],
)
def test_others_are_refused_by_name(image, bands, words):
    with pytest.raises(ValueError, match=f"^The image {'.*'}{words}"):
        check_image(image, bands=bands)
