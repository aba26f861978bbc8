"""Files that cannot be read: named in the process that trains, not in the worker that met them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch.utils.data import DataLoader

from co2s.errors import is_mendable


class Failure(NamedTuple):
    """Stands for an item that could not be made."""

    error: Exception


def item_or_failure(make: Callable[[], Any]) -> Any:
    """The item, or a Failure where a file is to blame; a fault of the program is raised here."""
    try:
        return make()
    except Exception as error:
        if not is_mendable(error):
            raise
        return Failure(error)


class ItemLoader(DataLoader):
    """A DataLoader of items that raises a Failure's error without the worker's traceback."""

    def __iter__(self) -> Iterator[list[Any]]:  # type: ignore[override]
        for items in super().__iter__():
            for item in items:
                if isinstance(item, Failure):
                    raise item.error
            yield items
