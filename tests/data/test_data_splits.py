"""List files and nested choices of labelled samples."""

from itertools import pairwise

import pytest

from co2s.data.splits import labeled_count, list_line, nested_choice, read_list, split_name


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


def test_smaller_choices_are_contained_in_larger_ones():
    choices = [nested_choice([""] * 50, count, seed=3) for count in (3, 6, 12, 50)]
    assert [len(choice) for choice in choices] == [3, 6, 12, 50]
    for smaller, larger in pairwise(choices):
        assert smaller < larger
    assert nested_choice([""] * 50, 6, seed=3) == choices[1]
    assert nested_choice([""] * 50, 6, seed=4) != choices[1]


def test_a_choice_is_dealt_evenly_over_the_groups():
    groups = ["a"] * 30 + ["b"] * 10 + ["c"] * 2
    chosen = [groups[position] for position in nested_choice(groups, 12, seed=0)]
    assert {name: chosen.count(name) for name in "abc"} == {"a": 5, "b": 5, "c": 2}


def test_lists_of_pairs_of_images_alone_and_of_names_with_spaces(tmp_path):
    path = tmp_path / "labeled.txt"
    path.write_text("images/a.png labels/a.png\n\nimages/b.png\nim ages/c.png\tlabels/c.png\n")
    assert read_list(path) == [
        ("images/a.png", "labels/a.png"),
        ("images/b.png", None),
        ("im ages/c.png", "labels/c.png"),
    ]


def test_wrong_lists_are_named(tmp_path):
    path = tmp_path / "val.txt"
    with pytest.raises(FileNotFoundError, match=r"val\.txt is missing"):
        read_list(path)
    path.write_text("a.png a.png\nmy image.png my label.png\n")
    with pytest.raises(ValueError, match=r"val\.txt, line 2.*tab"):
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


@pytest.mark.parametrize("name", ["a\tb.png", "a\nb.png", "a\u2028b.png", " a.png", "a.png ", ""])
def test_names_that_no_line_can_hold(name):
    with pytest.raises(ValueError, match="cannot stand in a list"):
        list_line(name)


def test_ratios_become_names():
    assert [split_name(ratio) for ratio in ("1/8", "1_16", " 3/4")] == ["1_8", "1_16", "3_4"]
    for wrong in ("0.1", "8", "9/8", "1/8/2"):
        with pytest.raises(ValueError, match="is no fraction"):
            split_name(wrong)
