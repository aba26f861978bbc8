"""Work in a thread of its own."""

import threading
import time

import pytest

from co2s.inference.ahead import ahead


def test_items_come_in_order_and_so_many_are_made_before():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    waiting = ahead(items(), 3)
    assert next(waiting) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5, "one used, three that wait, one in the hand of the thread"
    assert [*waiting] == [*range(1, 20)]


def test_an_error_is_raised_where_the_items_are_used():
    def items():
        yield 1
        raise ValueError("a torn file")

    waiting = ahead(items(), 3)
    assert next(waiting) == 1
    with pytest.raises(ValueError, match="a torn file"):
        next(waiting)


def test_a_closed_iterator_ends_its_thread_and_that_of_what_it_reads():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    before = threading.active_count()
    waiting = ahead(ahead(items(), 1), 1)
    next(waiting)
    waiting.close()
    assert closed
    assert threading.active_count() == before
