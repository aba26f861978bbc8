"""Names of configurations -> config files, in a checkout and in an installed wheel alike."""

from pathlib import Path

from co2s import modeling  # noqa: F401  methods bring their keys
from co2s.config import get_co2s_cfg
from co2s.d2 import CfgNode

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
    """Names of all configurations, as `get_config_file` takes them, in alphabetical order."""
    return sorted(path.relative_to(_CONFIGS).as_posix() for path in _CONFIGS.rglob("*.yaml"))


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
