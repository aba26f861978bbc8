"""Packages that come with an extra: imported where they are needed, with an error that helps."""

import importlib
from types import ModuleType


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
