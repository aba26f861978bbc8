"""The map itself: a figure whose layers are read anew as one pans and zooms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from co2s.optional import import_extra

from .layers import Layer
from .parts import Part, Size, View, part_of

DELAY = 150  # milliseconds between two readings while one drags or turns the wheel
CLOSEST = 8  # pixels of the scene across the screen, at the least
AROUND = 4  # times the scene, at the most
NOMINAL = (1000, 760)  # width and height of the figure until the browser says what they are


@dataclass
class Drawn:
    """A layer on the figure, and the part that it shows now."""

    layer: Layer
    renderer: Any
    data: Any
    part: Part | None = None
    is_stale: bool = False


class Canvas:
    """A figure in pixels of the scene, so that no georeference is needed, nor one without turns."""

    def __init__(
        self, doc: Any, layers: Iterable[Layer], size: Size, failed: Callable[[Exception], None]
    ) -> None:
        """failed: told what the user can mend, such as a file that turns out to be damaged."""
        self._doc, self._size, self._failed = doc, size, failed
        self._is_waiting, self._is_resized = False, False
        self._inner, self._width = NOMINAL, NOMINAL[0]
        self._home = _whole(size, *NOMINAL)
        self.figure = _figure(size, self._home)
        self.drawn = [self._draw(layer) for layer in layers]
        for span in (self.figure.x_range, self.figure.y_range):
            span.on_change("start", self._on_move)
            span.on_change("end", self._on_move)
        self.figure.on_change("inner_width", self._on_resize)
        self.figure.on_change("inner_height", self._on_resize)

    @property
    def view(self) -> View:
        x, y = self.figure.x_range, self.figure.y_range
        return View(x.start, x.end, y.end, y.start)

    def load(self) -> None:
        """Read what the visible layers show, as far as it is not there already."""
        self._is_waiting = False
        if self._is_resized or not self._is_square():
            self._is_resized = False
            self._refit()
        part = part_of(self.view, self._size)
        for drawn in self.drawn:
            if drawn.renderer.visible and (drawn.is_stale or drawn.part != part):
                try:
                    drawn.data.data = _data(drawn.layer, part)
                except ValueError as error:
                    self._failed(error)
                drawn.part, drawn.is_stale = part, False

    def load_soon(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._doc.add_timeout_callback(self.load, DELAY)

    def _draw(self, layer: Layer) -> Drawn:
        data = import_extra("bokeh.models", "web").ColumnDataSource(_data(layer, None))
        renderer = self.figure.image_rgba(
            image="image", x="x", y="y", dw="dw", dh="dh", source=data, name=layer.name
        )
        # A box to save is no selection: the layers shall not pale outside it.
        renderer.nonselection_glyph = renderer.selection_glyph = None
        return Drawn(layer, renderer, data)

    def _on_move(self, name: str, old: Any, new: Any) -> None:
        self.load_soon()

    def _on_resize(self, name: str, old: Any, new: Any) -> None:
        width, height = self._inner
        self._inner = (new, height) if name == "inner_width" else (width, new)
        if min(self._inner) > 0:
            self._is_resized = True
            self.load_soon()

    def _is_square(self) -> bool:
        """Whether pixels are: a resize may meet a turn of the wheel on its way."""
        (width, height), view = self._inner, self.view
        ratio = (view.right - view.left) * height / ((view.bottom - view.top) * width)
        return 0.99 < ratio < 1.01

    def _refit(self) -> None:
        """Pixels stay square: the whole scene before anyone has moved it, later the same middle."""
        width, height = self._inner
        view, whole = self.view, _whole(self._size, width, height)
        if view == self._home:
            view = whole
        else:
            scale = (view.right - view.left) / self._width
            x, y = (view.left + view.right) / 2, (view.top + view.bottom) / 2
            view = _around(x, y, scale * width, scale * height)
        self._home, self._width = whole, width
        x_range, y_range = self.figure.x_range, self.figure.y_range
        # Both directions stop at once: else pixels would not stay square.
        for span, side, most in (
            (x_range, width, whole.right - whole.left),
            (y_range, height, whole.bottom - whole.top),
        ):
            least = CLOSEST * side / max(width, height)
            span.update(min_interval=least, max_interval=AROUND * most)
        x_range.update(reset_start=whole.left, reset_end=whole.right)
        y_range.update(reset_start=whole.bottom, reset_end=whole.top)
        x_range.update(start=view.left, end=view.right)
        y_range.update(start=view.bottom, end=view.top)


def _whole(size: Size, width: int, height: int) -> View:
    scale = 1.02 * max(size[1] / width, size[0] / height)
    return _around(size[1] / 2, size[0] / 2, scale * width, scale * height)


def _around(x: float, y: float, width: float, height: float) -> View:
    return View(x - width / 2, x + width / 2, y - height / 2, y + height / 2)


def _data(layer: Layer, part: Part | None) -> dict[str, list[Any]]:
    """The columns of a source with one picture, or with none."""
    if part is None:
        return {name: [] for name in ("image", "x", "y", "dw", "dh")}
    top, left, height, width = part.window
    pixels = np.ascontiguousarray(layer.pixels(part))
    image = pixels.view(np.uint32).reshape(pixels.shape[:2])
    return {"image": [image], "x": [left], "y": [top], "dw": [width], "dh": [height]}


def _figure(size: Size, whole: View) -> Any:
    models = import_extra("bokeh.models", "web")
    across = models.Range1d(whole.left, whole.right)
    down = models.Range1d(whole.bottom, whole.top)
    tools = [
        models.PanTool(description="Move the map"),
        models.WheelZoomTool(),
        models.BoxSelectTool(description="Draw an area", persistent=False),
        models.ResetTool(description="Show the whole scene"),
    ]
    figure = import_extra("bokeh.plotting", "web").figure(
        x_range=across, y_range=down, tools=tools, toolbar_location="left",
        sizing_mode="stretch_both", background_fill_color="#eceef1",
        min_border=8, min_border_left=72,  # for numbers of any length: they do not resize the map
        x_axis_label="column", y_axis_label="row", outline_line_color="#c4cad2",
    )  # fmt: skip
    figure.toolbar.logo = None
    figure.toolbar.active_drag, figure.toolbar.active_scroll = tools[0], tools[1]
    figure.grid.visible = False
    for axis in figure.axis:
        axis.formatter = models.NumeralTickFormatter(format="0,0")
        axis.axis_line_color, axis.minor_tick_line_color = "#c4cad2", None
        axis.axis_label_text_font_style, axis.axis_label_text_color = "normal", "#5b6470"
        axis.major_label_text_color = "#5b6470"
    return figure
