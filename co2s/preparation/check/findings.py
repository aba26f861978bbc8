"""Findings: what the dataset check has to say, each with its weight, its files and a way out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
SHOWN = 3  # file names that a finding carries


@dataclass(frozen=True)
class Finding:
    """One thing found in a dataset.

    `severity`: "error" (training would fail or learn something else), "warning" (look at it) or
    "info" (a fact, harmless). `kind` names it for programs. `count` files or samples have it, and
    `files` are the first of them. `fix`: what to do, most likely.
    """

    severity: str
    kind: str
    message: str
    count: int
    files: tuple[str, ...] = ()
    fix: str = ""

    def lines(self, root: str = "") -> list[str]:
        """The message, the file names as seen from `root`, and the fix."""
        names = ", ".join(shortened(path, root) for path in self.files)
        more = ", ..." if self.count > len(self.files) else ""
        return [
            self.message,
            *([f"first: {names}{more}" if more else names] if names else []),
            *([f"fix: {self.fix}"] if self.fix else []),
        ]

    def as_dict(self) -> dict:
        return asdict(self) | {"files": list(self.files)}


def about(severity: str, kind: str, files: Iterable[str], message: str, fix: str = "") -> Finding:
    """A finding that these files or samples have; it carries the first names."""
    names = sorted(set(files))
    return Finding(severity, kind, message, len(names), tuple(names[:SHOWN]), fix)


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings, then facts; each in the order in which they were found."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def shortened(path: str, root: str) -> str:
    """A path as seen from root, where it lies in there."""
    return path.removeprefix(root.rstrip("/") + "/") if root else path


def plural(count: int, noun: str) -> str:
    """ "1 mask", "2 masks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
