"""Entries of --methods: of the command line and of files, and what is malformed."""

import re

import pytest

from co2s.engine.runner.entries import Entry, parse_entries

CO2S = Entry("Co2S", "Co2S", ())


def test_entries_of_the_command_line():
    text = "x y:Co2S,INPUT.RATIO_RANGE=(0.5, 2.0),MODEL.LOCAL.BACKBONE.WEIGHTS=C:/a,b.pth"
    opts = ("INPUT.RATIO_RANGE", "(0.5, 2.0)", "MODEL.LOCAL.BACKBONE.WEIGHTS", "C:/a,b.pth")
    assert parse_entries(["Co2S", text]) == [CO2S, Entry("x y", "Co2S", opts)]


def test_entries_of_a_file(tmp_path):
    (tmp_path / "base.yaml").write_text("SEED: 3\n")
    own = "_BASE_: ../base.yaml\nOUTPUT_DIR: x\nMODEL: {LOCAL: {HEAD: {DIM: 3}}, FUSION: mean}\n"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "own.yaml").write_text(own)
    (tmp_path / "list.yaml").write_text(
        "- Co2S\n"
        "- {title: a, method: FixMatch, file: configs/own.yaml, options: {MODEL.FUSION: local}}\n"
        "- {title: b, method: Co2S, options: {MODEL.STUDENTS: [x, y], MODEL.EMA_LABELS: False}}\n"
    )
    opts = ("MODEL.LOCAL.HEAD.DIM", "3", "MODEL.FUSION", "local")  # nothing of the base
    assert parse_entries([f"@{tmp_path / 'list.yaml'}", "U2PL"]) == [
        CO2S,
        Entry("a", "FixMatch", opts),
        Entry("b", "Co2S", ("MODEL.STUDENTS", "['x', 'y']", "MODEL.EMA_LABELS", "False")),
        Entry("U2PL", "U2PL", ()),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Co2S,SOLVER.MAX_ITER=3",
        "x:Co2S,SOLVER.MAX_ITER",
        "x:",
        ":Co2S",
        "x:Co2S SEED=1",
        "x:y:Co2S",
        "?:Co2S",
        "x:SOLVER.MAX_ITER=3",
        "",
    ],
)
def test_a_malformed_entry_is_refused(text):
    with pytest.raises(ValueError, match=rf"--methods '{re.escape(text)}': write METHOD, or TITLE"):
        parse_entries(["OnlySup", text])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- {title: a}", "is no entry. Write it as"),
        ("- {title: a, method: Co2S, seed: 3}", "is no entry"),
        ("- {title: a, method: Co2S, options: [3]}", "is no entry"),
        ("title: a", "must hold a list of entries"),
        ("[", "is no YAML"),
        ("- {title: a, method: Co2S, file: gone.yaml}", r"gone\.yaml is missing"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, content, words):
    path = tmp_path / "list.yaml"
    path.write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        parse_entries([f"@{path}"])


def test_no_file_and_one_folder_for_two():
    with pytest.raises(FileNotFoundError, match=r"--methods @gone.yaml: no such file, seen from"):
        parse_entries(["@gone.yaml"])
    with pytest.raises(ValueError, match="'Co2S' and 'co2s' would share a folder"):
        parse_entries(["Co2S", "co2s:OnlySup"])
