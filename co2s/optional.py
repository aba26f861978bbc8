"""Packages that are imported where they are needed: those of an extra, and those that take long."""

import importlib
from types import ModuleType
from typing import Any


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a module of an optional package; ModuleNotFoundError says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:
            raise  # the package is there and lacks something of its own
        raise ModuleNotFoundError(
            f"This needs {package}, which is not installed: pip install 'co2s[{extra}]'.",
            name=package,
        ) from error


class LateModule:
    """A module that is imported when something of it is used.

    timm and open_clip take seconds, which a tool's --help, or an error in a configuration, need
    not wait for.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
