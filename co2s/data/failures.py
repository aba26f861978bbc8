"""Files that cannot be read: named in the process that trains, and done without where allowed."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader

from co2s.errors import is_mendable

from .records import Record

logger = logging.getLogger(__name__)

KEY = "DATALOADER.MAX_BAD_FILES"


class Failure(NamedTuple):
    """Stands for an item that could not be made."""

    error: Exception


class Replaced(NamedTuple):
    """An item in the place of others, whose files could not be read: {path: why}."""

    item: Any
    bad: dict[str, str]


def item_or_failure(make: Callable[[], Any]) -> Any:
    """The item, or a Failure where a file is to blame; a fault of the program is raised here."""
    try:
        return make()
    except Exception as error:
        if not is_mendable(error):
            raise
        return Failure(error)


def item_or_other(
    make: Callable[[int, np.random.Generator], Any],
    index: int,
    seed: tuple[int, ...],
    records: Sequence[Record],
    limit: int,
) -> Any:
    """The item of a draw; where a file of it cannot be read, that of another draw, as Replaced.

    make: (position of a record, generator) -> item, which may read other records, too. Attempt a
    has the generator (*seed, a) and, after the first, a record that it draws: what takes the place
    of a bad file depends on the draw alone, and not on who makes it or what was met before.
    More than `limit` bad files in one draw: a Failure.
    """
    bad: dict[str, str] = {}
    tried = {index}
    item = item_or_failure(lambda: make(index, np.random.default_rng(seed)))
    while isinstance(item, Failure):
        bad[_blamed(item.error, records, index)] = str(item.error)
        left = [number for number in range(len(records)) if number not in tried]
        if len(bad) > limit or not left:
            return item
        rng = np.random.default_rng((*seed, len(tried)))
        index = left[int(rng.integers(len(left)))]
        tried.add(index)
        item = item_or_failure(lambda index=index, rng=rng: make(index, rng))  # type: ignore[misc]
    return Replaced(item, bad) if bad else item


def without(failure: Failure, records: Sequence[Record], index: int) -> Replaced:
    """None in the place of an item that is done without."""
    error = failure.error
    return Replaced(None, {_blamed(error, records, index): str(error)})


def _blamed(error: Exception, records: Sequence[Record], index: int) -> str:
    """The path of a draw's file that an error is about: messages name it."""
    said = f"{error} {getattr(error, 'filename', '') or ''}"
    # The draw's own record first, then its partner, which may be any.
    for record in (records[index], *records):
        # The longest first: one path may be the beginning of another.
        paths = [record.get(key) for key in ("file_name", "sem_seg_file_name")]
        for path in sorted(filter(None, paths), key=len, reverse=True):
            if path in said:
                return path
    return records[index]["file_name"]


class BadFiles:
    """The training files that could not be read, by path, with the reason: each is logged once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.found: dict[str, str] = {}

    def add(self, bad: Mapping[str, str]) -> None:
        for path, why in bad.items():
            if path not in self.found:
                self.found[path] = why
                logger.warning("Done without %s: %s", path, why)

    def check(self) -> None:
        """ValueError where there are more than the limit."""
        if len(self.found) > self.limit:
            raise ValueError(
                f"{len(self.found)} training files cannot be read, and {KEY} allows "
                f"{self.limit}:\n  " + "\n  ".join(self.found.values())
            )


class ItemLoader(DataLoader):
    """A DataLoader of items that raises a Failure's error without the worker's traceback."""

    bad_files: BadFiles | None = None  # gets those that were replaced

    def __iter__(self) -> Iterator[list[Any]]:  # type: ignore[override]
        for items in super().__iter__():
            yield [self._unpacked(item) for item in items]

    def _unpacked(self, item: Any) -> Any:
        if isinstance(item, Failure):
            raise item.error
        if isinstance(item, Replaced):
            if self.bad_files is not None:
                self.bad_files.add(item.bad)
            return item.item
        return item
