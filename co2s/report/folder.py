"""What a run left in its folder: each part that is there, and why another is not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from co2s.config import plain
from co2s.d2.key_names import key_names
from co2s.evaluation.metrics import Series, read_metrics

PAGE = "report.html"


class Missing(Exception):
    """A part of the page cannot be made, and why: the run did not leave what it needs."""


@dataclass(frozen=True)
class Run:
    """The folder of a run; parts are read when they are asked for.

    A part that is not there raises `Missing`.
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @cached_property
    def options(self) -> dict[str, Any]:
        """Every value of the configuration by its dotted key; lists in place of tuples."""
        try:
            tree = yaml.safe_load(self.config_text)
        except yaml.YAMLError as error:
            raise Missing(f"config.yaml is no YAML: {error}") from error
        if not isinstance(tree, dict):
            raise Missing("config.yaml holds no configuration.")
        return {key: plain(_at(tree, key)) for key in key_names(tree)}

    @cached_property
    def config_text(self) -> str:
        return self._text("config.yaml", "no training was started here")

    @cached_property
    def metrics(self) -> dict[str, Series]:
        """Every scalar of the run by name, over the steps that were made: 1, 2, ..."""
        try:
            found = read_metrics(str(self.folder))
            return {name: ([i + 1 for i in steps], v) for name, (steps, v) in found.items()}
        except (OSError, ValueError) as error:
            raise Missing(f"Nothing was recorded while training: {error}") from error

    @cached_property
    def facts(self) -> dict[str, Any]:
        return self._json("facts.json", "an older version trained this, or nothing was trained")

    @cached_property
    def report(self) -> dict[str, Any]:
        return self._json("report.json", "the run is not through")

    @cached_property
    def calibration(self) -> dict[str, Any]:
        return self._json("calibration.json", "nothing was calibrated (TEST.CALIBRATE)")

    @cached_property
    def twin(self) -> dict[str, Any]:
        return self._json("twin.json", "no run on the labelled images alone stands beside it")

    @cached_property
    def scores(self) -> dict[str, dict[str, Any]]:
        """scores.json of every scored dataset, those of DATASETS.TEST first and alone if any."""
        folders = sorted(path.parent for path in self.folder.glob("inference/*/scores.json"))
        test = self.option("DATASETS.TEST") or []
        wanted = [self.folder / "inference" / name for name in test]
        chosen = [folder for folder in wanted if folder in folders] or folders
        if not chosen:
            raise Missing("Nothing was scored: there is no inference/<dataset>/scores.json.")
        return {f.name: self._json(f"inference/{f.name}/scores.json", "") for f in chosen}

    def option(self, key: str) -> Any:
        """A value of the configuration; None where there is no such key, or no configuration."""
        try:
            return self.options.get(key)
        except Missing:
            return None

    def known(self, part: str) -> Any:
        """A part of the run, None where it is missing."""
        try:
            return getattr(self, part)
        except Missing:
            return None

    def style(self, name: str) -> int:
        """Of the lines of a student or a prediction: the same in every chart."""
        names = self.students
        return names.index(name) if name in names else len(names)

    @property
    def students(self) -> list[str]:
        return list(self.option("MODEL.STUDENTS") or [])

    def _text(self, name: str, why: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Missing(f"There is no {name}: {why}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Missing(f"{name} cannot be read: {error}") from error

    def _json(self, name: str, why: str) -> dict[str, Any]:
        try:
            content = json.loads(self._text(name, why))
        except ValueError as error:
            raise Missing(f"{name} is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise Missing(f"{name} holds {type(content).__name__}, not an object.")
        return content


def open_run(folder: str | Path) -> Run:
    """The run in a folder. FileNotFoundError where no run has left anything there."""
    run = Run(Path(folder))
    if not any(run.known(part) for part in ("config_text", "metrics", "scores")):
        raise FileNotFoundError(
            f"{folder} holds no run: neither config.yaml nor metrics.json nor any scores. Give the "
            "OUTPUT_DIR of a run."
        )
    return run


def _at(tree: Mapping[str, Any], key: str) -> Any:
    node: Any = tree
    for part in key.split("."):
        node = node[part]
    return node
