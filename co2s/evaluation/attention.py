"""The attention sheet: an image, every head's attention, their mean and their maximum."""

from typing import TYPE_CHECKING

import numpy as np

from .figures import GREY, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 2.3  # of a picture's longer side, inches
HEADING, CAPTION = 1.9, 6.6  # what the texts need at least, inches
QUERY = "#00e5ff"  # seen on the image and on the map's colours


def write_attention(
    path: str,
    title: str,
    caption: str,
    image: np.ndarray,
    heads: np.ndarray,
    patch_size: int,
    query: tuple[int, int] | None = None,
) -> str:
    """Write image (H, W, 3) and attention (heads, h, w), one value a patch, as a PNG; its path.

    heads + 3 pictures; `query` is the patch (row, column) that asks, framed in each of them. The
    patches may reach over the right and lower border of the image: padding is not drawn.
    """
    maps = {"mean over heads": heads.mean(axis=0), "maximum over heads": heads.max(axis=0)}
    maps |= {f"head {i}": head for i, head in enumerate(heads)}
    height, width = image.shape[:2]
    columns = columns_of(len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    tile = [SIDE * max(side / max(height, width), 0.4) for side in (height, width)]
    lines = caption.count("\n") + 1
    figure = new_figure(
        max(columns * max(tile[1] + 0.12, HEADING), CAPTION) + 0.2,
        rows * (tile[0] + 0.45) + 0.3 + 0.17 * lines,
        layout="constrained",
    )
    figure.suptitle(title if len(title) <= 90 else f"...{title[-87:]}", fontsize=11)
    figure.supxlabel(caption, fontsize=8, color="#555555")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    _draw_image(axes[0], image)
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=False):
        _draw_map(axis, name, values, patch_size, whole=name != "maximum over heads")
    for axis in axes[: len(maps) + 1]:
        _finish(axis, width, height, patch_size, query)
    for axis in axes[len(maps) + 1 :]:
        axis.set_axis_off()
    return save_figure(figure, path)


def columns_of(count: int) -> int:
    """Of 3 to 6 columns those that leave the fewest places empty, the broadest of them."""
    return min(range(min(count, 6), min(count, 3) - 1, -1), key=lambda columns: -count % columns)


def _draw_image(axis: "Axes", image: np.ndarray) -> None:
    axis.imshow(image, extent=(0, image.shape[1], image.shape[0], 0))
    axis.set_title(f"image\n{image.shape[1]} x {image.shape[0]} pixels", fontsize=8.5)


def _draw_map(axis: "Axes", name: str, values: np.ndarray, patch_size: int, whole: bool) -> None:
    rows, columns = values.shape
    extent = (0, columns * patch_size, rows * patch_size, 0)
    peak = float(values.max())
    # A uniform map is drawn dark or bright, not as the noise of its last digits.
    axis.imshow(values, cmap="magma", vmin=0, vmax=peak or 1, extent=extent, interpolation="none")
    share = f", {_percent(float(values.sum()))} on patches" if whole else ""
    axis.set_title(f"{name}\nup to {_percent(peak)}{share}", fontsize=8.5)


def _finish(
    axis: "Axes", width: int, height: int, patch_size: int, query: tuple[int, int] | None
) -> None:
    axis.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axis.spines[:].set(color=GREY, linewidth=0.6)
    if query is not None:
        from matplotlib.patches import Rectangle

        corner = (query[1] * patch_size, query[0] * patch_size)
        frame = Rectangle(
            corner, patch_size, patch_size, fill=False, edgecolor=QUERY, linewidth=1.5
        )
        axis.add_patch(frame)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
