"""Every configuration key of the project, added to detectron2's own."""

from .defaults import add_co2s_config, get_co2s_cfg

__all__ = ["add_co2s_config", "get_co2s_cfg"]
