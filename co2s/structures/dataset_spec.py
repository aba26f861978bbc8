"""DatasetSpec: everything the project knows about one dataset; `spec_reader` reads it from YAML."""

from dataclasses import dataclass
from string import Formatter

from .raster_spec import RasterSpec

IGNORE_LABEL = 255

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
class LayoutSpec:
    """Where files lie under the root: patterns with named parts, as in "{tile}/images/{part}.jpg".

    `images` and `unlabeled` may also hold the wildcards * and ?, and **/ for any folders.

    `labels` is built from the parts of `images`; None: no masks. `unlabeled` are patterns of more
    images, which have no masks. `window`: side in pixels of the non-overlapping squares into which
    each image is cut without copying; None: whole images.
    """

    images: str
    labels: str | None = None
    unlabeled: tuple[str, ...] = ()
    window: int | None = None

    def __post_init__(self) -> None:
        if self.window is not None and (type(self.window) is not int or self.window < 1):
            raise ValueError(f"layout.window must be a side in pixels, found {self.window!r}.")
        if set("*?") & set(self.labels or ""):
            raise ValueError(
                f"layout.labels is built from the parts of layout.images and cannot hold * or ?, "
                f"found {self.labels!r}. Name the part: {{name}}."
            )
        unknown = sorted(_parts(self.labels or "") - self.parts)
        if unknown:
            raise ValueError(
                f"layout.labels uses the parts {unknown}, which layout.images does not name."
            )

    @property
    def parts(self) -> set[str]:
        """The named parts of the images' pattern."""
        return _parts(self.images)


@dataclass(frozen=True)
class SplitSpec:
    """Which samples train and which validate, in one of two ways.

    Lists: the files {split}/labeled.txt and unlabeled.txt in `folder`, and val.txt beside them.
    Selection: `train` and `val` name the allowed values of parts ({"part": ("001", "002")}), train
    None: all but `val`. The labelled samples are drawn from the train images that have a mask,
    with `seed`, dealt evenly over the values of the part `spread`.
    `fractions` are the names of the splits: "1_8" has floor(train / 8) labelled samples.
    """

    fractions: tuple[str, ...] = ()
    folder: str | None = None
    train: dict[str, tuple[str, ...]] | None = None
    val: dict[str, tuple[str, ...]] | None = None
    seed: int = 0
    spread: str | None = None

    def __post_init__(self) -> None:
        for name in self.fractions:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"splits: the name {name!r} may hold letters, digits and _ only.")

    @property
    def parts(self) -> set[str]:
        """The named parts that choose or group samples."""
        return {*(self.train or ()), *(self.val or ()), *([self.spread] if self.spread else [])}


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


def _parts(pattern: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
