"""Rows of a table: a method, and the options that are its own; from the command line or a file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from co2s.config import read_given

from ..floors import folder_name

KEYS = {"title", "method", "file", "options"}  # of an entry in a file
EXAMPLE = "{title: no stability, method: Co2S, options: {MODEL.CO2S.STABILITY_WEIGHT: 0.0}}"


class Entry(NamedTuple):
    """A row of the table: a method, and the options that are its own."""

    title: str
    method: str
    opts: tuple[str, ...] = ()  # KEY, VALUE, KEY, VALUE, ...


def parse_entries(texts: Sequence[str]) -> list[Entry]:
    """Entries of the command line: METHOD, TITLE:METHOD,KEY=VALUE,..., or @FILE for a list of them.

    ValueError where one is malformed, or two would share a folder.
    """
    found = []
    for text in texts:
        found += read_entries(Path(text[1:])) if text.startswith("@") else [parse_entry(text)]
    return distinct(found)


def parse_entry(text: str) -> Entry:
    """METHOD, or TITLE:METHOD,KEY=VALUE,...; ValueError where it is malformed."""
    title, colon, rest = text.partition(":")
    # A value may hold commas: one ends it only where another KEY= follows.
    method, *pairs = re.split(r",(?=[A-Za-z_][\w.]*=)", rest if colon else text)
    if not re.fullmatch(r"[A-Za-z_]\w*", method) or not folder_name(title) or (pairs and not colon):
        raise ValueError(
            f"--methods '{text}': write METHOD, or TITLE:METHOD,KEY=VALUE,... with one option or "
            "more, such as 'long:Co2S,SOLVER.MAX_ITER=1600'; or @FILE."
        )
    return Entry(title, method, tuple(part for pair in pairs for part in pair.split("=", 1)))


def read_entries(path: Path) -> list[Entry]:
    """The entries of a YAML list: texts as above, or title, method, options, and file.

    file: a configuration, seen from the list, whose own keys are options, without those of its
    base. FileNotFoundError where there is none; ValueError where something is malformed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--methods @{path}: no such file, seen from {Path.cwd()}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"--methods @{path} is no YAML: {error}") from error
    if not isinstance(content, list) or not content:
        raise ValueError(f"--methods @{path} must hold a list of entries, such as\n- {EXAMPLE}")
    return [_entry(item, path) for item in content]


def _entry(item: Any, path: Path) -> Entry:
    if isinstance(item, str):
        return parse_entry(item)
    if not isinstance(item, Mapping) or not {"title", "method"} <= {*item} <= KEYS:
        raise ValueError(f"--methods @{path}: {item!r} is no entry. Write it as\n- {EXAMPLE}")
    title, method, own = str(item["title"]), str(item["method"]), item.get("options") or {}
    if not folder_name(title) or not isinstance(own, Mapping):
        raise ValueError(f"--methods @{path}: {item!r} is no entry. Write it as\n- {EXAMPLE}")
    given = {**_of_file(path.parent / item["file"]), **own} if "file" in item else own
    return Entry(title, method, tuple(str(part) for pair in given.items() for part in pair))


def _of_file(path: Path) -> dict[str, Any]:
    """What a configuration file gives itself, its base and its folder aside."""
    *_, (_, own), _ = read_given(str(path), []).levels
    return {key: value for key, value in own.items() if key != "OUTPUT_DIR"}


def distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries; ValueError where two would share a folder."""
    seen: dict[str, str] = {}
    for entry in entries:
        name = folder_name(entry.title).casefold()
        if name in seen:
            raise ValueError(
                f"--methods: '{seen[name]}' and '{entry.title}' would share a folder. Give each a "
                "title of its own: TITLE:METHOD,KEY=VALUE,..."
            )
        seen[name] = entry.title
    return [*entries]
