"""YAML files in which no key may stand twice."""

from pathlib import Path
from typing import Any

import yaml

from ..text import read_text


class _Loader(yaml.SafeLoader):
    """PyYAML keeps the last of equal keys and says nothing."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple, int] = {}
        for key, _ in node.value:
            known = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (id(key),)
            line = key.start_mark.line + 1
            if known in lines:
                raise ValueError(
                    f"the key '{key.value}' stands twice, in the lines {lines[known]} and {line}: "
                    "keep one of them."
                )
            lines[known] = line
        return node


def read_yaml(path: Path) -> Any:
    """Plain dicts, lists and values. ValueError names a key that stands twice, and its lines;
    yaml.YAMLError where it is no YAML."""
    return yaml.load(read_text(path), Loader=_Loader)
