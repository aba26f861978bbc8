"""The configuration tree: detectron2's defaults, files with _BASE_, and clear errors."""

from __future__ import annotations

from typing import IO, Any

import yaml
from fvcore.common.config import CfgNode as _CfgNode

from ..key_names import key_names, unknown_message
from .config_defaults import DEFAULTS, DETECTION_ONLY
from .file_io import PathManager
from .logger import get_logger


class UnknownConfigKey(KeyError, AssertionError):
    """A key nobody knows. detectron2 raises KeyError for files, AssertionError for overrides."""

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return str(self.args[0])


class CfgNode(_CfgNode):
    """fvcore's CfgNode, which reads detectron2's config files and names mistyped keys."""

    @classmethod
    def _open_cfg(cls, filename: str) -> IO[Any]:
        return PathManager.open(filename, "r")

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = False) -> None:
        """Take over the values of a YAML file (and of its `_BASE_`).

        Raises AssertionError where there is no such file, UnknownConfigKey for a key that neither
        this tree nor detectron2 has, ValueError for YAML that would run code. Unlike detectron2,
        `allow_unsafe` is off by default: a config file is data.
        """
        assert PathManager.isfile(cfg_filename), (
            f"There is no config file '{cfg_filename}': check the path."
        )
        loaded = self._load(cfg_filename, allow_unsafe)
        expected = self.get("VERSION")
        version = loaded.get("VERSION", expected)
        assert version == expected, (
            f"Config file '{cfg_filename}' has VERSION {version}, this is version {expected}: "
            "load and dump it once with detectron2, which converts old files."
        )
        dropped, unknown = _sort_out(loaded, self, self)
        if unknown:
            raise UnknownConfigKey(
                unknown_message(unknown, self, f"'{cfg_filename}' or its _BASE_")
            )
        if dropped:
            get_logger("config").info(
                "%s: ignored the keys of object detectors: %s", cfg_filename, ", ".join(dropped)
            )
        self.merge_from_other_cfg(type(self)(loaded))

    def _load(self, filename: str, allow_unsafe: bool) -> dict[str, Any]:
        try:
            return self.load_yaml_with_base(filename, allow_unsafe=allow_unsafe) or {}
        except yaml.constructor.ConstructorError as error:
            raise ValueError(
                f"Config file '{filename}' holds YAML that would run code: {error.problem}. Write "
                "plain values; or, if you trust the file, pass allow_unsafe=True."
            ) from error

    def merge_from_list(self, cfg_list: list[Any]) -> None:
        """Take over ["SOLVER.MAX_ITER", 10, ...]; UnknownConfigKey for a key that does not exist.

        AssertionError where the list has an odd number of entries.
        """
        unknown = [key for key in cfg_list[0::2] if not self._accepts(str(key))]
        if unknown and len(cfg_list) % 2 == 0:
            raise UnknownConfigKey(unknown_message(unknown, self, "the given overrides"))
        super().merge_from_list(cfg_list)

    def _accepts(self, key: str) -> bool:
        settled = self.__dict__[self.DEPRECATED_KEYS] | set(self.__dict__[self.RENAMED_KEYS])
        return key in settled or key in {*key_names(self, leaves=False)} or key == "_BASE_"

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """The tree as YAML text."""
        return super().dump(*args, **kwargs)


def get_cfg() -> CfgNode:
    """A fresh copy of the default configuration."""
    return CfgNode(DEFAULTS)


def _sort_out(
    loaded: dict[str, Any], node: _CfgNode, root: CfgNode, prefix: str = ""
) -> tuple[list[str], list[str]]:
    """Remove object detectors' keys from `loaded`; return (removed, unknown) names."""
    settled = {*root.__dict__[root.DEPRECATED_KEYS], *root.__dict__[root.RENAMED_KEYS]}
    dropped: list[str] = []
    unknown: list[str] = []
    for key in list(loaded):
        name = f"{prefix}{key}"
        if key in node:
            if isinstance(loaded[key], dict) and isinstance(node[key], _CfgNode):
                below = _sort_out(loaded[key], node[key], root, f"{name}.")
                dropped += below[0]
                unknown += below[1]
        elif name in DETECTION_ONLY:
            del loaded[key]
            dropped.append(name)
        elif not (node.is_new_allowed() or name in settled):
            unknown.append(name)
    return dropped, unknown
