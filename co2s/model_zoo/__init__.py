"""The configurations that come with co2s, by name."""

from .model_zoo import config_names, get_config, get_config_file

__all__ = ["config_names", "get_config", "get_config_file"]
