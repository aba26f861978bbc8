"""The two catalogues: dataset name -> function giving its items, and name -> metadata."""

from __future__ import annotations

import builtins
import types
from collections import UserDict
from collections.abc import Callable
from typing import Any


class _DatasetCatalog(UserDict):
    """Dataset name -> function that takes nothing and returns a list of item dicts."""

    def register(self, name: str, func: Callable[[], builtins.list[dict[str, Any]]]) -> None:
        """Add a dataset; AssertionError where the name is taken or `func` cannot be called."""
        assert callable(func), (
            f"DatasetCatalog.register('{name}') needs a function returning the items, "
            f"got {type(func).__name__}: wrap it as lambda: items."
        )
        assert name not in self, (
            f"Dataset '{name}' is already registered: choose another name, or remove it first."
        )
        self[name] = func

    def get(self, name: str) -> builtins.list[dict[str, Any]]:  # type: ignore[override]
        """The items of a dataset; KeyError naming the registered ones where it is unknown."""
        if name not in self:
            raise KeyError(
                f"Dataset '{name}' is not registered. Registered: {', '.join(self) or 'none'}."
            )
        return self[name]()

    def list(self) -> builtins.list[str]:
        """The registered names."""
        return [*self]

    def remove(self, name: str) -> None:
        self.pop(name)

    def __str__(self) -> str:
        return f"DatasetCatalog(registered datasets: {', '.join(self)})"

    __repr__ = __str__


class Metadata(types.SimpleNamespace):
    """Facts about one dataset (class names, colours): an attribute once set keeps its value."""

    name: str = "N/A"

    def __getattr__(self, key: str) -> Any:
        known = ", ".join(self.__dict__) or "nothing"
        raise AttributeError(
            f"The metadata of dataset '{self.name}' has no '{key}'. It has: {known}."
        )

    def __setattr__(self, key: str, val: Any) -> None:
        if key in self.__dict__ and self.__dict__[key] != val:
            raise AssertionError(
                f"'{key}' in the metadata of dataset '{self.name}' cannot change: "
                f"it is {self.__dict__[key]!r}, found {val!r}."
            )
        super().__setattr__(key, val)

    def as_dict(self) -> dict[str, Any]:
        """A copy of all entries."""
        return dict(self.__dict__)

    def set(self, **kwargs: Any) -> Metadata:
        """Set several entries; returns itself."""
        for key, value in kwargs.items():
            setattr(self, key, value)
        return self

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)


class _MetadataCatalog(UserDict):
    """Dataset name -> its one `Metadata` object, made when first asked for."""

    def get(self, name: str) -> Metadata:  # type: ignore[override]
        assert name, "MetadataCatalog.get needs the name of a dataset, got an empty one."
        if name not in self:
            self[name] = Metadata(name=name)
        return self[name]

    def list(self) -> builtins.list[str]:
        """The names that have metadata."""
        return [*self]

    def remove(self, name: str) -> None:
        self.pop(name)

    def __str__(self) -> str:
        return f"MetadataCatalog(registered metadata: {', '.join(self)})"

    __repr__ = __str__


DatasetCatalog = _DatasetCatalog()
MetadataCatalog = _MetadataCatalog()
