"""Split lists and nested choices of labelled samples."""

from itertools import pairwise

import pytest

from co2s.data.splits import (
    labeled_count,
    list_line,
    nested_choice,
    read_list,
    seeded_order,
    split_name,
)


@pytest.mark.parametrize(
    ("train", "counts"),
    [
        (4446, {"1_24": 185, "1_16": 277, "1_8": 555, "1_4": 1111}),
        (3771, {"1_40": 94, "1_16": 235, "1_8": 471, "1_4": 942}),
        (4924, {"1_32": 153, "1_16": 307, "1_8": 615, "1_4": 1231}),
        (851, {"1_8": 106, "1_4": 212}),
    ],
)
def test_labelled_counts_of_the_paper(train, counts):
    assert {split: labeled_count(split, train) for split in counts} == counts


@pytest.mark.parametrize("name", ["half", "2_1", "0_4"])
def test_a_name_that_is_no_fraction(name):
    with pytest.raises(ValueError, match=name):
        labeled_count(name, 10)


NAMES = [f"images/{number}.png" for number in range(50)]


def test_smaller_choices_are_contained_in_larger_ones():
    choices = [nested_choice(NAMES, [""] * 50, count, seed=3) for count in (3, 6, 12, 50)]
    assert [len(choice) for choice in choices] == [3, 6, 12, 50]
    for smaller, larger in pairwise(choices):
        assert smaller < larger
    assert nested_choice(NAMES, [""] * 50, 6, seed=3) == choices[1]
    assert nested_choice(NAMES, [""] * 50, 6, seed=4) != choices[1]


def test_choices_over_groups_are_even_and_nested():
    groups = ["a"] * 30 + ["b"] * 10 + ["c"] * 2
    choices = [nested_choice(NAMES[:42], groups, count, seed=0) for count in range(43)]
    counts = [[groups[n] for n in choice] for choice in choices]
    assert {name: counts[12].count(name) for name in "abc"} == {"a": 5, "b": 5, "c": 2}
    for smaller, larger in pairwise(choices):
        assert smaller < larger


def test_an_order_is_of_seed_and_names_alone():
    names = ["a.png", "b.png", "c.png", "d.png", "ä.png"]
    assert seeded_order(names, 0) == [3, 4, 1, 0, 2]  # on every machine, with every NumPy
    assert seeded_order(names, 1) != seeded_order(names, 0)
    order = [names[n] for n in seeded_order(names, 0)]
    fewer = [name for name in names if name != "b.png"]
    assert [fewer[n] for n in seeded_order(fewer, 0)] == [n for n in order if n != "b.png"]


def test_one_sample_less_moves_no_other():
    chosen = {NAMES[n] for n in nested_choice(NAMES, [""] * 50, 10, seed=0)}
    gone = min(chosen)
    rest = [name for name in reversed(NAMES) if name != gone]
    fewer = {rest[n] for n in nested_choice(rest, [""] * 49, 9, seed=0)}
    assert fewer == chosen - {gone}


def test_names_that_are_no_unicode_have_an_order_too():
    assert sorted(seeded_order(["a.png", "b\udcff.png"], 0)) == [0, 1]


def test_lists_of_pairs_of_images_alone_and_of_names_with_spaces(tmp_path):
    path = tmp_path / "labeled.txt"
    path.write_text("images/a.png labels/a.png\n\nimages/b.png\nim ages/c.png\tlabels/c.png\n")
    assert read_list(path) == [
        ("images/a.png", "labels/a.png"),
        ("images/b.png", None),
        ("im ages/c.png", "labels/c.png"),
    ]


def test_lists_that_windows_wrote_have_other_separators(tmp_path):
    (tmp_path / "val.txt").write_text("images\\a.png labels\\a.png\n")
    assert read_list(tmp_path / "val.txt") == [("images/a.png", "labels/a.png")]


def test_wrong_lists_are_named(tmp_path):
    path = tmp_path / "val.txt"
    with pytest.raises(FileNotFoundError, match=r"val\.txt is missing"):
        read_list(path)
    path.write_text("a.png a.png\nmy image.png my label.png\n")
    with pytest.raises(ValueError, match=r"val\.txt, line 2.*tab"):
        read_list(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_lists_of_other_editors(tmp_path, encoding):
    path = tmp_path / "val.txt"
    path.write_bytes("images/é.png labels/é.png\r\nimages/2.png\r\n".encode(encoding))
    assert read_list(path) == [("images/é.png", "labels/é.png"), ("images/2.png", None)]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("latin-1", "no text in UTF-8: byte 0xe9 at position 7"), ("utf-16-le", "zero bytes")],
)
def test_lists_in_another_encoding_are_named(tmp_path, encoding, words):
    path = tmp_path / "val.txt"
    path.write_bytes(("images/é.png" if encoding == "latin-1" else "images/a.png").encode(encoding))
    with pytest.raises(ValueError, match=rf"val\.txt is .*{words}.*Save it as UTF-8"):
        read_list(path)


@pytest.mark.parametrize(
    ("image", "label", "line"),
    [
        ("images/a.png", "labels/a.png", "images/a.png labels/a.png"),
        ("images/a.png", None, "images/a.png"),
        ("my images/a.png", "labels/a.png", "my images/a.png\tlabels/a.png"),
        ("images/a.png", "my labels/a.png", "images/a.png\tmy labels/a.png"),
        ("my images/a b.png", None, "my images/a b.png\t"),
    ],
)
def test_lines_are_read_as_they_were_meant(tmp_path, image, label, line):
    assert list_line(image, label) == line
    (tmp_path / "list.txt").write_text(f"{line}\n")
    assert read_list(tmp_path / "list.txt") == [(image, label)]


@pytest.mark.parametrize(
    "name", ["a\tb.png", "a\nb.png", "a\u2028b.png", " a.png", "a.png ", "", "a\\b.png"]
)
def test_names_that_no_line_can_hold(name):
    with pytest.raises(ValueError, match="cannot stand in a list"):
        list_line(name)


def test_ratios_become_names():
    assert [split_name(ratio) for ratio in ("1/8", "1_16", " 3/4")] == ["1_8", "1_16", "3_4"]
    for wrong in ("0.1", "8", "9/8", "1/8/2"):
        with pytest.raises(ValueError, match="is no fraction"):
            split_name(wrong)
