"""detectron2's predictor, for images that fit the model."""

from typing import Any

import numpy as np

from .images import check_image


def with_checks(base: Any) -> Any:
    """A DefaultPredictor, detectron2's or the subset's, that looks at an image before the model."""

    class DefaultPredictor(base):
        """One image (H, W, C) uint8 in, the model's output out.

        Three bands are blue, green, red, as OpenCV reads them; other numbers of bands come in the
        order of `raster.bands`. ValueError for an image of another shape, type or range.
        """

        def __init__(self, cfg: Any) -> None:
            super().__init__(cfg)
            self.bands = int(getattr(self.model, "num_bands", 3))
            if self.bands != 3:
                self.input_format = "BGR"  # as they come: only colours are turned round

        def __call__(self, original_image: np.ndarray) -> dict[str, Any]:
            return super().__call__(check_image(original_image, bands=self.bands))

    return DefaultPredictor
