"""DatasetSpec: everything the project knows about one dataset; `reader` reads it from YAML."""

from dataclasses import dataclass

from .layout import LayoutSpec, SplitSpec
from .raster import RasterSpec

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSpec:
    """One class: its name, display colour, concepts (method section 6) and colour on disk."""

    name: str
    color: Color
    concepts: tuple[str, ...]
    label_color: Color | None = None  # where the masks use another colour than the display


# What each encoding reads.
_READ: dict[str, set[str]] = {
    "index": {"offset", "map", "band", "ignore"},
    "color": {"ignore"},
    "coco": {"map", "file", "background", "ignore"},
    "vector": {"vector", "column", "layer"},
}


@dataclass(frozen=True)
class LabelSpec:
    """How masks are written: as numbers ("index"), as RGB colours ("color"), as the outlines of a
    COCO annotation file ("coco"), or as polygons with a place on earth ("vector").

    A number becomes the class number + offset, or map[number] where a map is given. `ignore` holds
    numbers (NaN, too) or colours without a class; 255 is always one of them for numbers. `band`:
    the one that holds the numbers, of masks with several; None: the first.

    COCO: `file` is relative to the dataset's root; `map` and `ignore` are of category ids, without
    a map categories go by the names of the classes. `background`: the class of what nobody
    outlined; None: it is ignored.

    Polygons: `vector` is a file relative to the dataset's root, with the classes, by name or
    number, in `column`; `layer`: the one of several. What no polygon covers is ignored.
    """

    encoding: str
    offset: int = 0
    map: dict[int, int] | None = None
    ignore: tuple = ()
    band: int | None = None
    file: str | None = None
    background: str | None = None
    vector: str | None = None
    column: str | None = None
    layer: str | None = None

    @property
    def drawn_from(self) -> str | None:
        """The one file that the masks of all images are drawn from; None: each has its own."""
        return self.file or self.vector

    def __post_init__(self) -> None:
        if self.encoding not in _READ:
            known = ", ".join(f'"{name}"' for name in _READ)
            raise ValueError(f"labels.encoding must be one of {known}, found {self.encoding!r}.")
        given = {"offset": self.offset != 0, "ignore": bool(self.ignore)}
        optional = ("map", "band", "file", "background", "vector", "column", "layer")
        given |= {key: getattr(self, key) is not None for key in optional}
        unread = [key for key, is_given in given.items() if is_given]
        unread = [key for key in unread if key not in _READ[self.encoding]]
        if unread:
            raise ValueError(f"labels.{unread[0]} has no meaning for encoding: {self.encoding}.")
        if self.encoding == "coco" and not self.file:
            raise ValueError("labels.file must name the annotation file of encoding: coco.")
        if self.encoding == "vector" and not (self.vector and self.column):
            raise ValueError(
                "labels.vector must name the file of polygons, and labels.column the column of it "
                f"that holds the classes; found {self.vector!r} and {self.column!r}."
            )
        if self.band is not None and self.band < 1:
            raise ValueError(f"labels.band must be a band number from 1 on, found {self.band!r}.")


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset. `root` is its folder under $DETECTRON2_DATASETS; `raster` None: 8-bit RGB.

    ValueError where the parts do not agree with each other.
    """

    name: str
    root: str
    classes: tuple[ClassSpec, ...]
    labels: LabelSpec
    splits: SplitSpec
    layout: LayoutSpec | None = None
    raster: RasterSpec | None = None

    def __post_init__(self) -> None:
        names = self.class_names
        fewest = 0 if self.is_pool else 1
        if len(set(names)) < len(names) or not fewest <= len(names) <= 254:
            raise ValueError(f"classes must be 1 to 254 with different names, found {names}.")
        colors = [*self.label_colors, *self.labels.ignore]
        if self.labels.encoding == "color" and len(set(colors)) < len(colors):
            raise ValueError(f"two classes or ignored colours share a colour on disk: {colors}.")
        if set("/\\") & set(self.name) or self.name.startswith("."):
            raise ValueError(
                f"name stands in the names of splits and folders: it may hold no / and no \\, nor "
                f"begin with a dot, found {self.name!r}."
            )
        background = self.labels.background
        if background is not None and background not in names:
            raise ValueError(
                f"labels.background must be one of the classes {names}, found {background!r}."
            )
        self._check_map()
        self._check_parts()

    @property
    def class_names(self) -> list[str]:
        return [entry.name for entry in self.classes]

    @property
    def num_bands(self) -> int:
        """Bands of an image as a model sees it."""
        return len(self.raster.bands) if self.raster else 3

    @property
    def has_labels(self) -> bool:
        """Whether its layout names masks or one file holds the labels of all images."""
        return self.labels.drawn_from is not None or (
            self.layout is not None and self.layout.labels is not None
        )

    @property
    def is_pool(self) -> bool:
        """Whether it holds images alone: no masks, and no split lists that could name any."""
        return self.splits.folder is None and not self.has_labels

    @property
    def label_colors(self) -> list[Color]:
        """The classes' colours on disk."""
        return [entry.label_color or entry.color for entry in self.classes]

    def _check_map(self) -> None:
        for raw, number in (self.labels.map or {}).items():
            if number not in range(len(self.classes)):
                raise ValueError(
                    f"labels.map has {raw!r}: {number!r}, but must lead from numbers on disk to "
                    f"classes 0..{len(self.classes) - 1}."
                )

    def _check_parts(self) -> None:
        if self.splits.folder is not None:
            return
        if self.layout is None:
            raise ValueError("give splits.folder (split lists) or layout (patterns of file names).")
        if self.labels.drawn_from is not None and self.layout.labels is not None:
            key = "file" if self.labels.vector is None else "vector"
            raise ValueError(
                f"layout.labels and labels.{key} both say where the labels are: with encoding: "
                f"{self.labels.encoding} leave layout.labels away."
            )
        if self.has_labels and not self.splits.fractions:
            raise ValueError("splits.fractions must name at least one split, such as 1_8.")
        unknown = sorted(self.splits.parts - self.layout.parts)
        if unknown:
            raise ValueError(f"splits uses the parts {unknown}, which layout.images does not name.")
