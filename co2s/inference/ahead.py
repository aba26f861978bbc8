"""Work ahead: an iterator that goes on in a thread of its own while its items are used."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
WAIT = 0.2  # seconds between two looks at whether anybody still wants the items


def ahead(items: Iterable[T], size: int) -> Iterator[T]:
    """The items in their order, `size` of them made before they are asked for.

    An error of theirs is raised here. When this iterator is closed the thread ends, too.
    """
    ready: queue.Queue[Any] = queue.Queue(size)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, stop), daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind is _ITEM:
                yield value
            elif kind is _ERROR:
                raise value
            else:
                return
    finally:
        stop.set()
        thread.join()


_ITEM, _ERROR, _END = object(), object(), object()


def _fill(items: Iterable[T], ready: queue.Queue, stop: threading.Event) -> None:
    try:
        iterator = iter(items)
        try:
            for item in iterator:
                if not _put(ready, (_ITEM, item), stop):
                    return
        finally:
            if hasattr(iterator, "close"):
                iterator.close()
        _put(ready, (_END, None), stop)
    except BaseException as error:  # raised again where the items are used
        _put(ready, (_ERROR, error), stop)


def _put(ready: queue.Queue, entry: tuple, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ready.put(entry, timeout=WAIT)
            return True
        except queue.Full:
            continue
    return False
