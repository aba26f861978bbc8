"""The document of one visitor: map, layers, legend, what a click tells, areas to save."""

import logging
from pathlib import Path
from typing import Any

from co2s.data.reading.rasters import Window
from co2s.errors import is_mendable
from co2s.optional import import_extra

from . import texts
from .areas import save_areas, window_of
from .canvas import Canvas, Drawn
from .files import FUSED, MapFiles
from .parts import View

logger = logging.getLogger(__name__)

WIDTH = 330  # of the column beside the map, pixels
SLIDER = 100  # of them
SHOWN = {"scene": 1.0, FUSED: 0.5}  # the opacity of the layers that are there from the start
REFRESH = 500  # milliseconds between two looks at a scene that is still being read
HOW = "Choose the dashed box beside the map and drag over an area, or over several."


class Page:
    """What one visitor sees and does; the files are shared with other visitors."""

    def __init__(self, doc: Any, files: MapFiles, areas: Path) -> None:
        """areas: the GeoPackage that drawn areas are saved to."""
        self.files, self.path = files, areas
        self._doc = doc
        self._models = import_extra("bokeh.models", "web")
        self.canvas = Canvas(doc, files.layers, files.size, self.tell_fault)
        self.told = self._text(texts.note("Click on the map."))
        self.message = self._text("")
        self.boxes: list[Window] = []
        self.saved: list[Window] = []
        self._mark = self._marker()
        self._areas = {name: self._outline(name) for name in ("drawn", "saved")}
        self.save = self._button("Save areas", self.on_save, "primary")
        self.undo = self._button("Remove last", self.on_undo, "default")
        self.switches = {drawn.layer.name: self._switch(drawn) for drawn in self.canvas.drawn}
        events = import_extra("bokeh.events", "web")
        self.canvas.figure.on_event(events.Tap, self.on_tap)
        self.canvas.figure.on_event(events.SelectionGeometry, self.on_box)
        self.show_areas()
        self._assemble()
        self._follow_scene()
        self.canvas.load()

    def on_tap(self, event: Any) -> None:
        """Tell what is known of the pixel that was clicked."""
        row, column = int(event.y // 1), int(event.x // 1)
        height, width = self.files.size
        if not (0 <= row < height and 0 <= column < width):
            self._mark.data = {"x": [], "y": []}
            self.told.text = texts.note("There the scene has ended.")
            return
        self._mark.data = {"x": [column + 0.5], "y": [row + 0.5]}
        try:
            self.told.text = texts.answer(self.files, row, column)
        except ValueError as error:
            self.told.text = texts.fault(str(error))

    def on_box(self, event: Any) -> None:
        """Take a box that was drawn to its end."""
        box = event.geometry
        if not event.final or box["type"] != "rect":
            return
        view = View(box["x0"], box["x1"], box["y0"], box["y1"])
        window = window_of(view, self.files.size)
        if window is None:
            self.message.text = texts.note("That area has no pixel of the scene.")
            return
        self.boxes.append(window)
        self.show_areas()

    def on_undo(self) -> None:
        if self.boxes:
            self.boxes.pop()
        self.show_areas()

    def on_save(self) -> None:
        """Add the drawn areas to the GeoPackage; they stay as they are where that fails."""
        try:
            count = save_areas(self.path, self.boxes, self.files)
        except Exception as error:
            if not is_mendable(error):
                raise
            self.tell_fault(error)
            return
        words = f"Saved in {self.path}, which now has {count} area{'' if count == 1 else 's'}."
        if not self.files.crs:
            words += " The scene has no CRS: their coordinates are pixels, y the negative row."
        self.saved, self.boxes = self.saved + self.boxes, []
        self.show_areas()
        self.message.text = texts.note(words)

    def tell_fault(self, error: Exception) -> None:
        logger.warning("%s", error)
        self.message.text = texts.fault(str(error))

    def show_areas(self) -> None:
        """Draw the boxes as they are, and say what can be done with them."""
        for name, boxes in (("drawn", self.boxes), ("saved", self.saved)):
            self._areas[name].data = {
                "left": [left for _, left, _, _ in boxes],
                "right": [left + width for _, left, _, width in boxes],
                "top": [top for top, _, _, _ in boxes],
                "bottom": [top + height for top, _, height, _ in boxes],
            }
        count = len(self.boxes)
        self.save.disabled = self.undo.disabled = count == 0
        self.save.label = f"Save {count} area{'' if count == 1 else 's'}" if count else "Save areas"
        self.message.text = texts.note(HOW if count == 0 else f"To be saved in {self.path.name}.")

    def _follow_scene(self) -> None:
        """Draw a scene without overviews again and again while its coarse copy grows."""
        coarse = self.files.scene.coarse
        if coarse is None or not (coarse.is_growing or coarse.failure):
            return
        drawn = self.canvas.drawn[0]

        def look() -> None:
            over = not coarse.is_growing
            drawn.is_stale = True
            self.canvas.load()
            if over:
                self._doc.remove_periodic_callback(callback)
            if coarse.failure is not None:
                self.tell_fault(coarse.failure)

        callback = self._doc.add_periodic_callback(look, REFRESH)

    def _switch(self, drawn: Drawn) -> Any:
        """A row: whether a layer is shown, and how opaque it is."""
        alpha = SHOWN.get(drawn.layer.name, 1.0)
        drawn.renderer.visible = drawn.layer.name in SHOWN
        drawn.renderer.glyph.global_alpha = alpha
        box = self._models.Checkbox(
            label=drawn.layer.title, active=drawn.renderer.visible,
            width=texts.WIDTH - SLIDER - 20, margin=(2, 5, 2, 5),
        )  # fmt: skip
        slider = self._models.Slider(
            start=0, end=1, step=0.05, value=alpha, show_value=False, title=None, width=SLIDER,
            margin=(2, 5, 2, 5), tooltips=False,
        )  # fmt: skip
        # In the browser itself, without a way to the server and back.
        box.js_link("active", drawn.renderer, "visible")
        slider.js_link("value", drawn.renderer.glyph, "global_alpha")
        box.on_change("active", self._on_switch)
        return self._models.Row(children=[box, slider])

    def _on_switch(self, name: str, old: bool, new: bool) -> None:
        for drawn in self.canvas.drawn:
            drawn.renderer.visible = self.switches[drawn.layer.name].children[0].active
        self.canvas.load()

    def _outline(self, name: str) -> Any:
        data = self._models.ColumnDataSource({k: [] for k in ("left", "right", "top", "bottom")})
        self.canvas.figure.quad(
            left="left", right="right", top="top", bottom="bottom", source=data, name=name,
            fill_alpha=0, line_color="#ffeb00", line_width=2,
            line_dash="dashed" if name == "drawn" else "solid",
        )  # fmt: skip
        return data

    def _marker(self) -> Any:
        data = self._models.ColumnDataSource({"x": [], "y": []})
        for color, width in (("black", 4), ("white", 2)):
            self.canvas.figure.scatter(
                "x", "y", source=data, marker="cross", size=16, line_color=color, line_width=width
            )
        return data

    def _text(self, html: str) -> Any:
        return self._models.Div(text=html, width=texts.WIDTH, margin=(1, 5, 1, 5))

    def _button(self, label: str, clicked: Any, kind: str) -> Any:
        button = self._models.Button(label=label, button_type=kind, width=texts.WIDTH // 2 - 5)
        button.on_click(clicked)
        return button

    def _assemble(self) -> None:
        buttons = self._models.Row(children=[self.save, self.undo])
        side = [
            self._text(texts.heading(self.files)),
            self._text(texts.title("Layers and their opacity")),
            *[*self.switches.values()][::-1],  # the highest first
            self._text(texts.title("Classes")),
            self._text(texts.legend(self.files)),
            self._text(texts.title("Clicked")),
            self.told,
            self._text(texts.title("Areas to label")),
            buttons,
            self.message,
        ]
        column = self._models.Column(
            children=side, width=WIDTH, sizing_mode="stretch_height", spacing=3,
            styles={"overflow-y": "auto", "padding": "8px 10px", "font-size": "13px"},
        )  # fmt: skip
        root = self._models.Row(
            children=[self.canvas.figure, column], sizing_mode="stretch_both", name="page"
        )
        self._doc.title = f"{self.files.map.name} - co2s"
        self._doc.add_root(root)
