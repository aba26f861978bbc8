"""Alarms: what is said of a run that its pseudo-labels harm, when, and how often."""

import pytest

from co2s.engine.alarms import AGREEMENT_PERIODS, PATIENCE, QUIET, Alarms

CLASSES = ("water", "road")


def found(coverage=0.5, water=0.5, label=0.5, agreement=None):
    shares = {
        "coverage/local": coverage,
        "coverage/local/water": coverage,
        "pseudo_share/local/water": water,
        "pseudo_share/local/road": 1 - water,
        "label_share/water": label,
        "label_share/road": 1 - label,
    }
    if agreement is not None:
        shares |= {"agreement": 0.9} | {f"agreement/{c}": agreement for c in CLASSES}
    return shares


def said(alarms, times=1, start=19, **shares):
    steps = [start + 20 * i for i in range(times)]
    return [text for step in steps for text in alarms.look(found(**shares), step)]


@pytest.mark.parametrize(
    ("shares", "heard"),
    [
        ({"water": 0.86, "label": 0.4}, True),
        ({"water": 0.84, "label": 0.4}, False),
        ({"water": 0.55, "label": 0.1}, True),
        ({"water": 0.45, "label": 0.01}, False),  # less than half
        ({"water": 0.9, "label": 0.8}, False),
        ({"water": 1.0, "label": 0.0}, True),
        ({"water": 0.99, "label": 0.1, "coverage": 0.05}, False),  # the first labels of a run
    ],
)
def test_a_class_that_takes_over(shares, heard):
    alarms = Alarms()
    assert not said(alarms, PATIENCE - 1, **shares), "it may pass"
    texts = said(alarms, 1, start=200, **shares)
    assert bool(texts) == heard
    if heard:
        assert "Class water takes over" in texts[0] and "student local" in texts[0]


def test_agreement_that_falls():
    alarms = Alarms()
    assert not said(alarms, 10, agreement=0.7)
    assert not said(alarms, 10, start=300, agreement=0.6), "by less than is noise"
    texts = said(alarms, 10, start=600, agreement=0.5)
    assert len(texts) == 1 and "IoU of one against the other" in texts[0] and "70 %" in texts[0]


def test_the_agreement_of_two_that_name_one_class_is_not_the_best():
    alarms = Alarms()
    trivial = found() | {"agreement": 1.0, "agreement/water": 1.0}
    for step in range(10):
        assert not alarms.look(trivial, step)
    assert alarms.best == 0.5
    assert not said(alarms, AGREEMENT_PERIODS, agreement=0.45)


@pytest.mark.parametrize(("coverage", "word"), [(0.0, "None of"), (1.0, "All of")])
def test_a_threshold_that_decides_nothing(coverage, word):
    alarms = Alarms()
    assert not said(alarms, PATIENCE - 1, coverage=coverage)
    assert not said(alarms, 1, coverage=0.5) and not said(alarms, 9, coverage=coverage)
    (text,) = said(alarms, 1, coverage=coverage)
    assert text.startswith(word)


def test_each_thing_once_in_a_while():
    alarms = Alarms()
    first = 20 * PATIENCE - 1  # the step it is said after
    assert len(said(alarms, PATIENCE + QUIET // 20 - 1, start=19, water=0.99, label=0.3)) == 1
    assert len(said(alarms, 1, start=first + QUIET, water=0.99, label=0.3)) == 1
    assert len(said(alarms, PATIENCE, start=first + QUIET, water=0.01, label=0.7)) == 1, "another"


def test_what_it_remembers_goes_on():
    alarms, other = Alarms(), Alarms()
    said(alarms, 10, agreement=0.7, coverage=0.0)
    other.load_state_dict(alarms.state_dict())
    assert said(other, 5, start=300, agreement=0.4) == said(alarms, 5, start=300, agreement=0.4)
    assert not said(Alarms(), 5, start=300, agreement=0.4)


def test_a_method_without_a_threshold_is_not_told_that_it_filters_none():
    assert said(Alarms(), PATIENCE, coverage=1.0)
    assert not said(Alarms(filters=False), PATIENCE, coverage=1.0)
