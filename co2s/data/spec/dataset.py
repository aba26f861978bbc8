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


@dataclass(frozen=True)
class LabelSpec:
    """How masks are written: as numbers ("index") or as RGB colours ("color").

    A number becomes the class number + offset, or map[number] where a map is given. `ignore` holds
    numbers or colours without a class; 255 is always one of them for numbers. `band`: the one of a
    raster that holds the numbers.
    """

    encoding: str
    offset: int = 0
    map: dict[int, int] | None = None
    ignore: tuple = ()
    band: int = 1

    def __post_init__(self) -> None:
        if self.encoding not in ("index", "color"):
            raise ValueError(
                f'labels.encoding must be "index" or "color", found {self.encoding!r}.'
            )
        if type(self.band) is not int or self.band < 1:
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
        if not names or len(set(names)) < len(names) or len(names) > 254:
            raise ValueError(f"classes must be 1 to 254 with different names, found {names}.")
        colors = [*self.label_colors, *self.labels.ignore]
        if self.labels.encoding == "color" and len(set(colors)) < len(colors):
            raise ValueError(f"two classes or ignored colours share a colour on disk: {colors}.")
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
    def label_colors(self) -> list[Color]:
        """The classes' colours on disk."""
        return [entry.label_color or entry.color for entry in self.classes]

    def _check_map(self) -> None:
        for raw, number in (self.labels.map or {}).items():
            if type(raw) is not int or number not in range(len(self.classes)):
                raise ValueError(
                    f"labels.map has {raw!r}: {number!r}, but must lead from numbers on disk to "
                    f"classes 0..{len(self.classes) - 1}."
                )

    def _check_parts(self) -> None:
        if self.splits.folder is not None:
            return
        if self.layout is None:
            raise ValueError("give splits.folder (list files) or layout (patterns of file names).")
        if self.layout.labels is not None and not self.splits.fractions:
            raise ValueError("splits.fractions must name at least one split, such as 1_8.")
        unknown = sorted(self.splits.parts - self.layout.parts)
        if unknown:
            raise ValueError(f"splits uses the parts {unknown}, which layout.images does not name.")
