"""Names of configuration keys: all of a tree, and those that resemble a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any


def key_names(node: Any, leaves: bool = True, prefix: str = "") -> Iterator[str]:
    """Full dotted names in the tree, such as SOLVER.MAX_ITER; without `leaves` sections too."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if not isinstance(value, dict):
            yield name
            continue
        if not leaves:
            yield name
        yield from key_names(value, leaves, f"{name}.")


def unknown_message(unknown: Iterable[str], cfg: Any, where: str) -> str:
    """What to say of keys that a configuration does not have."""
    shown = "; ".join(_with_neighbours(str(name), cfg) for name in unknown)
    return (
        f"Unknown config key in {where}: {shown}. "
        "Correct the name, or add the key to the configuration first."
    )


def _with_neighbours(name: str, cfg: Any) -> str:
    """The name, with up to three known ones whose last part resembles its last part."""
    last = name.rpartition(".")[2].upper()
    by_last_part: dict[str, list[str]] = {}
    for known in key_names(cfg, leaves=False):
        by_last_part.setdefault(known.rpartition(".")[2], []).append(known)
    similar = difflib.get_close_matches(last, by_last_part, cutoff=0.75)
    if last in by_last_part:
        similar = [last]  # The right key in the wrong section.
    near = [known for part in similar for known in by_last_part[part]]
    near.sort(key=lambda known: -difflib.SequenceMatcher(None, name.upper(), known).ratio())
    return f"{name} (did you mean {' or '.join(near[:3])}?)" if near else name
