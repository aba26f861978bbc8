"""Patterns of file names with named parts: which files fit, and what the parts are."""

import glob
import re
import string
from pathlib import Path

# Wildcards of a pattern as regular expressions, and everything else one character at a time.
_SHAPES = {"**/": "(?:.+/)?", "*": "[^/]*", "?": "[^/]"}
_WILD = re.compile(r"\*\*/|.", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")

Parts = dict[str, str]


def match_pattern(root: Path, pattern: str, any_case: bool = False) -> list[tuple[str, Parts]]:
    """Files under root that fit a pattern, sorted: (relative path, parts).

    Named parts `{part}` match within a name, as `*` and `?` do; `**/` matches any folders. Links
    that lead nowhere are among them: they are missing files. any_case: small and capital letters
    of the pattern stand for each other.
    """
    shape, wildcard, seen = "", "", set()
    for text, name, _, _ in string.Formatter().parse(pattern):
        shape += _WILD.sub(lambda found: _SHAPES.get(found[0]) or re.escape(found[0]), text)
        wildcard += _glob(text, any_case)
        if name is not None:
            shape += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)"
            wildcard += "*"
            seen.add(name)
    found = glob.glob(wildcard, root_dir=root, recursive=True)
    paths = sorted({path.replace("\\", "/") for path in found if _is_meant(root / path)})
    flags = re.IGNORECASE if any_case else 0
    matches = [(path, re.fullmatch(shape, path, flags)) for path in paths]
    return [(path, match.groupdict()) for path, match in matches if match]


def _glob(text: str, any_case: bool) -> str:
    text = text.replace("[", "[[]")
    if any_case:
        text = _LETTER.sub(lambda found: f"[{found[0].lower()}{found[0].upper()}]", text)
    return text


def _is_meant(path: Path) -> bool:
    """A file, or a link to one that is gone."""
    return path.is_file() or (path.is_symlink() and not path.exists())
