"""LayoutSpec and SplitSpec: where the files of a dataset lie, and which of them train."""

from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True)
class LayoutSpec:
    """Where files lie under the root: patterns with named parts, as in "{tile}/images/{part}.jpg".

    `images` and `unlabeled` may also hold the wildcards * and ?, and **/ for any folders.

    `labels` is built from the parts of `images`; None: no masks. `unlabeled` are patterns of more
    images, which have no masks. `window`: side in pixels of the squares into which each image is
    cut without copying; None: whole images. They do not overlap, and what is left at the right and
    lower border is left out; with `cover` the last ones are shifted back to end at the border.
    """

    images: str
    labels: str | None = None
    unlabeled: tuple[str, ...] = ()
    window: int | None = None
    cover: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"layout.window must be a side in pixels, found {self.window!r}.")
        patterns = {"images": self.images, "labels": self.labels or ""}
        patterns |= {f"unlabeled[{n}]": pattern for n, pattern in enumerate(self.unlabeled)}
        for key, pattern in patterns.items():
            _check_pattern(pattern, f"layout.{key}")
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
    with `seed`, spread evenly over the values of the part `spread`.
    `fractions` are the names of the splits: "1_8" has floor(train / 8) labelled samples.
    """

    fractions: tuple[str, ...] = ()
    folder: str | None = None
    train: dict[str, tuple[str, ...]] | None = None
    val: dict[str, tuple[str, ...]] | None = None
    seed: int = 0
    spread: str | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"splits.seed must be 0 or more, found {self.seed}.")
        for name in self.fractions:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"splits: the name {name!r} may hold letters, digits and _ only.")

    @property
    def parts(self) -> set[str]:
        """The named parts that choose or group samples."""
        return {*(self.train or ()), *(self.val or ()), *([self.spread] if self.spread else [])}


def _parts(pattern: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}


def _check_pattern(pattern: str, where: str) -> None:
    """ValueError where a pattern is not made of text and {names}."""
    try:
        fields = list(Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(
            f"{where} must name its parts as {{name}}, found {pattern!r}: {error}."
        ) from error
    for _, name, spec, conversion in fields:
        if name is not None and (spec or conversion or not name.isidentifier()):
            whole = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(
                f"{where}: a part must be a plain {{name}}, which stands for the text in its place "
                f"as it is, leading zeros too; found {{{whole}}} in {pattern!r}."
            )
