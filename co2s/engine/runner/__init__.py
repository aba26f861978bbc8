"""The bench: methods over datasets, splits and seeds, as runs that are scheduled and tabulated."""

from .arguments import add_arguments, parse
from .bench import run_bench
from .cells import Group
from .entries import Entry, parse_entries

__all__ = ["Entry", "Group", "add_arguments", "parse", "parse_entries", "run_bench"]
