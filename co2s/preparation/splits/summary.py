"""The summary of split lists: samples, groups and class shares of each, as a dict and a table."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from .classes import ClassCounts
from .folder import Pair

GroupOf = Callable[[str], str]


def summarise(
    lists: Mapping[str, Sequence[Pair]], counts: ClassCounts | None, group_of: GroupOf | None
) -> dict[str, dict[str, Any]]:
    """For each list its `samples`, `groups` and, from counted masks, `class_shares` in percent."""
    return {name: _entry(pairs, counts, group_of) for name, pairs in lists.items()}


def table(summary: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list]]:
    """Headers and rows, one column a list; "-" where a class has no pixel."""
    names = list(summary)
    rows: list[list] = [["samples", *(summary[name]["samples"] for name in names)]]
    if any("groups" in summary[name] for name in names):
        rows.append(["groups", *(summary[name].get("groups", "") for name in names)])
    classes = [name for entry in summary.values() for name in entry.get("class_shares", {})]
    for entry in dict.fromkeys(classes):
        shares = [summary[name].get("class_shares", {}).get(entry) for name in names]
        rows.append([f"{entry} %", *(_percent(share) for share in shares)])
    return ["", *(name.removesuffix(".txt") for name in names)], rows


def faults(lists: Mapping[str, Sequence[Pair]]) -> list[str]:
    """What is wrong between lists: repeated or shared samples, labelled sets that do not nest."""
    images = {name: {image for image, _ in pairs} for name, pairs in lists.items()}
    found = [
        f"{name} lists {len(pairs) - len(images[name])} samples more than once."
        for name, pairs in lists.items()
        if len(images[name]) < len(pairs)
    ]
    for first, second in combinations(images, 2):
        shared = images[first] & images[second]
        apart = "val.txt" in (first, second) or _split(first) == _split(second)
        if apart and shared:
            found.append(f"{first} and {second} share {len(shared)} samples, as {min(shared)}.")
    labeled = sorted(
        (name for name in images if name.endswith("/labeled.txt")), key=lambda n: len(images[n])
    )
    for small, large in pairwise(labeled):
        outside = images[small] - images[large]
        if outside:
            found.append(f"{small} is not inside {large}: {len(outside)} samples are not in it.")
    return found


def _entry(
    pairs: Sequence[Pair], counts: ClassCounts | None, group_of: GroupOf | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"samples": len(pairs)}
    if group_of is not None:
        entry["groups"] = len({group_of(image) for image, _ in pairs})
    if counts is not None:
        pixels = counts.table(pairs).sum(axis=0)
        total = max(int(pixels.sum()), 1)
        shares = (round(100 * int(count) / total, 4) for count in pixels)
        entry["class_pixels"] = dict(zip(counts.names, map(int, pixels), strict=True))
        entry["class_shares"] = dict(zip(counts.names, shares, strict=True))
    return entry


def _percent(share: float | None) -> str:
    return f"{share:.2f}" if share else "-"


def _split(name: str) -> str:
    return name.rpartition("/")[0]
