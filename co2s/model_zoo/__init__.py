"""The configurations that come with co2s, by name, and the figures published for them."""

from .model_zoo import config_names, get_config, get_config_file, preset_names, preset_options
from .published import Published, published, published_names

__all__ = [
    "Published",
    "config_names",
    "get_config",
    "get_config_file",
    "published",
    "published_names",
    "preset_names",
    "preset_options",
]
