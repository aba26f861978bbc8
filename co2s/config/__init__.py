"""Every configuration key of the project, and what is refused of those that are given."""

from .defaults import add_backbone, add_core_config, get_co2s_cfg, method_config
from .given import Given, check_keys, plain, read_given, value_at

__all__ = [
    "Given",
    "add_backbone",
    "add_core_config",
    "check_keys",
    "get_co2s_cfg",
    "method_config",
    "plain",
    "read_given",
    "value_at",
]
