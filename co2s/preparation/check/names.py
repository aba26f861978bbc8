"""Names of files and classes that people or other programs take for one another."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from co2s.data.spec import DatasetSpec

from .report import INFO, SHOWN, WARNING, Finding, about, plural

# Quotes, dashes and letters of other alphabets that are drawn alike.
_DRAWN_ALIKE = str.maketrans(
    "\u2018\u2019\u201b\u02bc\u00b4`\u201c\u201d\u201e\u2033\u2010\u2011\u2012\u2013\u2014\u2212"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456",
    "''''''\"\"\"\"------aeopcyxi",
)


def judge_names(
    images: set[str], masks: set[str], spec: DatasetSpec, root: str
) -> Iterator[Finding]:
    """Names that look alike and differ, spaces in paths, equal names in several folders."""
    yield from judge_class_names(spec)
    paths = images | masks
    pairs = [pair for pair in look_alikes(paths) if _same_folder(pair)]
    if pairs:
        files = [path for pair in pairs for path in pair]
        message = f"{plural(len(pairs), 'pair')} of files whose names look alike: {_shown(pairs)}."
        yield about(INFO, "alike files", files, message)
    spaced = {path for path in paths if " " in os.path.relpath(path, root)}
    if spaced:
        yield about(
            INFO, "spaces", spaced, f"{plural(len(spaced), 'path')} with a space: harmless."
        )
    folders = defaultdict(set)
    for path in images:
        folders[Path(path).name].add(path)
    equal = [path for group in folders.values() if len(group) > 1 for path in group]
    if equal:
        names = sum(len(group) > 1 for group in folders.values())
        message = (
            f"{len(equal)} images in different folders share {plural(names, 'file name')}: "
            "harmless, samples go by their path."
        )
        yield about(INFO, "equal names", equal, message)


def judge_class_names(spec: DatasetSpec) -> Iterator[Finding]:
    """Classes that people take for one another."""
    pairs = list(look_alikes(spec.class_names))
    if pairs:
        message = f"Names of classes look alike and differ: {_shown(pairs)}."
        fix = "Are they one class? If not, call them so that people can tell them apart."
        yield Finding(WARNING, "alike classes", message, len(pairs), fix=fix)
    odd = [n for n in spec.class_names if n != n.strip() or not n.isprintable()]
    if odd:
        shown = ", ".join(map(ascii, odd))
        message = f"Class names with spaces at an end, or characters that do not show: {shown}."
        yield Finding(INFO, "class names", message, len(odd))


def look_alikes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of different names that look alike: by case, spaces, quotes, form of an accent."""
    groups = defaultdict(list)
    for name in sorted(set(names)):
        groups[appearance(name)].append(name)
    for first, *others in groups.values():
        yield from ((first, other) for other in others)


def appearance(name: str) -> str:
    """The same for names that look alike."""
    wide = unicodedata.normalize("NFKC", name).casefold().translate(_DRAWN_ALIKE)
    seen = "".join(c for c in wide if unicodedata.category(c) != "Cf")  # zero-width ones
    return " ".join(seen.split())


def in_its_place(path: str) -> str:
    """The name in the folder of a missing file that looks like its own; "" where there is none."""
    folder, name = os.path.split(path)
    try:
        there = os.listdir(folder)
    except OSError:
        return ""
    return next((other for other in sorted(there) if appearance(other) == appearance(name)), "")


def _same_folder(pair: tuple[str, str]) -> bool:
    """Alike folders are no news for each of their files."""
    return os.path.dirname(pair[0]) == os.path.dirname(pair[1])


def _shown(pairs: Sequence[tuple[str, str]]) -> str:
    """In ASCII, where a difference shows."""
    words = [" and ".join(ascii(os.path.basename(name)) for name in pair) for pair in pairs[:SHOWN]]
    return "; ".join(words) + ("; ..." if len(pairs) > SHOWN else "")
