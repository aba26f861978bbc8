"""The paper's figures by the names of the six configs: published by its authors, not run here."""

from dataclasses import dataclass
from pathlib import Path

import yaml

_DATA = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """Figures of one dataset as its authors published them.

    `miou` is in percent, by method and by split ("1_16": one labelled image in 16).
    """

    config: str
    title: str  # the dataset as the paper writes it
    miou: dict[str, dict[str, float]]
    note: str
    source: str

    def table(self) -> str:
        """The figures as a Markdown table: a row for each method, a column for each split."""
        splits = next(iter(self.miou.values()))
        lines = ["| | " + " | ".join(split.replace("_", "/") for split in splits) + " |"]
        lines.append("|---" * (1 + len(splits)) + "|")
        for method, row in self.miou.items():
            lines.append(f"| {method} | " + " | ".join(f"{x:.1f}" for x in row.values()) + " |")
        return "\n".join(lines)


def published_names() -> list[str]:
    """Names of the configs whose datasets are in the paper's tables, in the paper's order."""
    return list(_read()["configs"])


def published(config: str) -> Published:
    """The published figures for a config such as "co2s_gid15.yaml".

    Raises ValueError where the paper has none; the message lists the configs that have.
    """
    data = _read()
    if config not in data["configs"]:
        known = ", ".join(data["configs"])
        raise ValueError(f"No figures were published for the config {config!r}; only for {known}.")
    entry = data["configs"][config]
    miou = {
        method: dict(zip(entry["splits"], row, strict=True))
        for method, row in entry["miou"].items()
    }
    return Published(config, entry["title"], miou, data["note"], data["source"])


def _read() -> dict:
    return yaml.safe_load(_DATA.read_text(encoding="utf-8"))
