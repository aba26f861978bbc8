"""Patterns of file names with named parts: which files fit, and what the parts are."""

import glob
import re
import string
from pathlib import Path

# Wildcards of a pattern as regular expressions, and everything else one character at a time.
_SHAPES = {"**/": "(?:.+/)?", "*": "[^/]*", "?": "[^/]"}
_WILD = re.compile(r"\*\*/|.", re.DOTALL)

Parts = dict[str, str]


def match_pattern(root: Path, pattern: str) -> list[tuple[str, Parts]]:
    """Files under root that fit a pattern, sorted: (relative path, parts).

    Named parts `{part}` match within a name, as `*` and `?` do; `**/` matches any folders.
    """
    shape, wildcard, seen = "", "", set()
    for text, name, _, _ in string.Formatter().parse(pattern):
        shape += _WILD.sub(lambda found: _SHAPES.get(found[0]) or re.escape(found[0]), text)
        wildcard += text.replace("[", "[[]")
        if name is not None:
            shape += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)"
            wildcard += "*"
            seen.add(name)
    found = glob.glob(wildcard, root_dir=root, recursive=True)
    paths = sorted({path.replace("\\", "/") for path in found if (root / path).is_file()})
    matches = [(path, re.fullmatch(shape, path)) for path in paths]
    return [(path, match.groupdict()) for path, match in matches if match]
