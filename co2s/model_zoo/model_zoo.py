"""Names of configurations -> config files, in a checkout and in an installed wheel alike."""

from pathlib import Path
from typing import Any

from co2s import modeling  # noqa: F401  methods bring their keys
from co2s.config import get_co2s_cfg, read_given
from co2s.d2 import CfgNode

PRESETS = "presets"  # folder
_PACKAGE = Path(__file__).parent
# An installed wheel carries the configs inside this package; in a checkout they lie at its top.
_CONFIGS = next(
    (
        folder
        for folder in (_PACKAGE / "configs", _PACKAGE.parents[1] / "configs")
        if folder.is_dir()
    ),
    _PACKAGE / "configs",
)


def config_names() -> list[str]:
    """Names of all configurations, as `get_config_file` takes them, in alphabetical order.

    Those in `presets/` are no run of their own: `preset_options` reads them.
    """
    return sorted(path.relative_to(_CONFIGS).as_posix() for path in _CONFIGS.rglob("*.yaml"))


def preset_names() -> list[str]:
    """Names of the presets for kinds of machines, such as "1x24gb"."""
    return sorted(path.stem for path in (_CONFIGS / PRESETS).glob("*.yaml"))


def preset_options(name: str) -> list[Any]:
    """The keys of a preset as `KEY VALUE` pairs, to stand before those of the command line.

    Raises ValueError where there is none of that name; the message lists those there are.
    """
    if name not in preset_names():
        raise ValueError(f"There is no preset {name!r}; there are {', '.join(preset_names())}.")
    given = read_given(str(_CONFIGS / PRESETS / f"{name}.yaml"), [])
    return [part for _, values in given.levels for pair in values.items() for part in pair]


def get_config_file(name: str) -> str:
    """Path of the config file called `name`, such as "co2s_gid15.yaml".

    Raises ValueError where there is none of that name; the message lists those there are.
    """
    if name not in config_names():
        known = ", ".join(config_names()) or f"none at all; {_CONFIGS} is missing or empty"
        raise ValueError(f"co2s has no config named {name!r}. Its configs: {known}.")
    return str(_CONFIGS / name)


def get_config(name: str) -> CfgNode:
    """The configuration called `name`: detectron2's and co2s's defaults, then the file's own."""
    cfg = get_co2s_cfg()
    cfg.merge_from_file(get_config_file(name), allow_unsafe=False)
    return cfg
