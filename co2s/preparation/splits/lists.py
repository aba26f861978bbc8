"""The lists of a dataset: labelled and unlabelled samples of each split, and validation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from co2s.data.splits import labeled_count, list_line

from .choice import labeling_order, take_units, units_of
from .classes import ClassCounts
from .folder import Pair
from .sources import Sample


@dataclass
class SplitLists:
    """Validation samples, labelled and unlabelled ones by split, and remarks for a person."""

    val: Sequence[Sample]
    labeled: dict[str, list[Sample]] = field(default_factory=dict)
    unlabeled: dict[str, list[Sample]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def named(self) -> dict[str, list[Pair]]:
        """Every list under the name of its file: pairs of image and mask."""
        lists: dict[str, list[Pair]] = {"val.txt": pairs_of(self.val)}
        for split in self.labeled:
            lists[f"{split}/labeled.txt"] = pairs_of(self.labeled[split])
            lists[f"{split}/unlabeled.txt"] = pairs_of(self.unlabeled[split])
        return lists


def pairs_of(samples: Sequence[Sample]) -> list[Pair]:
    return [(sample.image, sample.label) for sample in samples]


def text_of(pairs: Sequence[Pair]) -> str:
    """The content of a split list."""
    return "".join(f"{list_line(*pair)}\n" for pair in pairs)


def make_lists(
    train: Sequence[Sample],
    val: Sequence[Sample],
    splits: Sequence[str],
    seed: int,
    counts: ClassCounts | None,
    whole_groups: bool = False,
) -> SplitLists:
    """Nested lists: the labelled samples of a split are the first of one order of all.

    Samples without a mask are unlabelled everywhere. With `counts` the order begins with a cover
    of all classes; with `whole_groups` a group is labelled as a whole, and the numbers come as
    close as groups allow. ValueError where a split would have no labelled sample.
    """
    masked = [sample for sample in train if sample.label is not None]
    units = units_of([sample.group for sample in masked], whole_groups)
    names = [masked[unit[0]].group if whole_groups else masked[unit[0]].image for unit in units]
    pixels = None
    if counts is not None:
        table = counts.table(pairs_of(masked))
        pixels = np.array([table[unit].sum(axis=0) for unit in units])
    order = [units[position] for position in labeling_order(names, pixels, seed)]
    lists = SplitLists(val)
    for split in splits:
        wanted = labeled_count(split, len(masked))
        if wanted == 0:
            raise ValueError(
                f"The split {split} of {len(masked)} training samples is none. Choose a larger one."
            )
        taken = order[: take_units([len(unit) for unit in order], wanted)]
        chosen = {position for unit in taken for position in unit}
        lists.labeled[split] = [masked[position] for position in sorted(chosen)]
        images = {sample.image for sample in lists.labeled[split]}
        lists.unlabeled[split] = [sample for sample in train if sample.image not in images]
        if len(chosen) != wanted:
            number = f"{len(chosen)} labelled, not {wanted}"
            lists.remarks.append(f"{split}: {number}: groups stay whole.")
    return lists


def class_remarks(lists: SplitLists, train: Sequence[Sample], counts: ClassCounts) -> list[str]:
    """Which classes a labelled list or a whole side lacks, and why."""
    pixels = {side: counts.table(pairs_of(of)).sum(axis=0) for side, of in _sides(lists, train)}
    shown = {side: counts.shown(totals) for side, totals in pixels.items()}
    remarks = []
    for name in counts.names:
        if name not in shown["train"]:
            why = "all of it is in validation" if name in shown["val"] else "no mask has it"
            remarks.append(f"train: no pixel of {name}, {why}: no list can show it.")
        elif name not in shown["val"]:
            remarks.append(f"val: no pixel of {name}: it is not evaluated.")
    for split, samples in lists.labeled.items():
        missing = [name for name in shown["train"] if name not in shown[split]]
        if missing:
            remarks.append(
                f"{split}: {len(samples)} labelled samples show all classes but "
                f"{', '.join(missing)}: more samples are needed to cover every class."
            )
    return remarks


def _sides(lists: SplitLists, train: Sequence[Sample]) -> list[tuple[str, Sequence[Sample]]]:
    return [("train", train), ("val", lists.val), *lists.labeled.items()]
