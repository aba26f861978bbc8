"""What is to be run: tables, the cells of each, and the jobs that make them."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from co2s.d2 import META_ARCH_REGISTRY, CfgNode
from co2s.files import write_text

from ..config import load_cfg
from ..floors import distinct_floors, folder_name
from ..report import FREE, default_options, options, refuse_other_options
from ..reported import CONFIG, options_in
from .entries import Entry, distinct
from .jobs import Job

ADVICE = "Give another --output, or remove that folder."
OWN = {"MODEL.META_ARCHITECTURE": "--methods", "SEED": "--seeds", "OUTPUT_DIR": "--output"}
PLACES = ("OUTPUT_DIR", "DATASETS.ROOT")  # where something lies is no part of what is computed
FLOORS = "floors"


@dataclass(frozen=True)
class Group:
    """One table: a configuration file, and what is different for this one.

    folder: of its cells; table: path of the tables without a suffix; own: options by the argument
    that gives them, which must not be given as KEY VALUE; published: mIoU in % by method; entries:
    rows of this table alone, which no floor belongs to and which may give what is its own.
    """

    name: str
    config_file: str
    folder: Path
    table: Path
    opts: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    source: str = ""  # of what is published
    entries: tuple[Entry, ...] = ()

    def named(self, part: str) -> str:
        """A part of this table, as it is told."""
        return f"{self.name}: {part}" if self.name else part


@dataclass(frozen=True)
class Cell:
    """One training: an entry with a seed, in a group."""

    group: Group
    entry: Entry
    cfg: CfgNode
    job: Job


def cells_of(
    group: Group, entries: Sequence[Entry], seeds: Sequence[int], given: Sequence[str], train: Path
) -> list[Cell]:
    """The cells of a table, seed after seed, so that a broken comparison has whole ones.

    given: KEY VALUE ... of all cells; train: tools/train_net.py. ValueError for a configuration
    that cannot be, and where a folder holds a run of other options.
    """
    rows = distinct([*entries, *group.entries])
    return [_cell(group, entry, seed, given, train) for seed in seeds for entry in rows]


def _cell(group: Group, entry: Entry, seed: int, given: Sequence[str], train: Path) -> Cell:
    asked = [*given, *entry.opts]
    free = entry.opts[::2] if entry in group.entries else ()
    for key, argument in {**OWN, **group.own}.items():
        if key in asked[::2] and key not in free:
            raise ValueError(f"{key} is what {argument} sets here. Take it out of the options.")
    folder = group.folder / f"{folder_name(entry.title)}_seed{seed}"
    values = (entry.method, seed, folder)
    own = [str(part) for pair in zip(OWN, values, strict=True) for part in pair]
    opts = [*group.opts, *asked, *own]
    cfg = load_cfg(group.config_file, opts, training=True)
    if not cfg.DATASETS.TEST:
        raise ValueError("Methods are compared on DATASETS.TEST, which is empty.")
    refuse_others(cfg)
    command = (sys.executable, str(train), "--config-file", group.config_file, *opts)
    name = group.named(f"{entry.title}, seed {seed}")
    job = Job(name, str(folder), (str(folder),), command, os.getcwd(), resumable=True)
    return Cell(group, entry, cfg, job)


def floors_of(group: Group, cells: Sequence[Cell]) -> dict[str, list[CfgNode]]:
    """The floors of a table by title; ValueError where a folder holds one of other options."""
    runs: dict[str, list[CfgNode]] = {}
    for cell in (cell for cell in cells if cell.entry not in group.entries):
        runs.setdefault(cell.entry.title, []).append(cell.cfg)
    found = distinct_floors(runs, group.folder / FLOORS)
    for cfg in (cfg for cfgs in found.values() for cfg in cfgs):
        refuse_others(cfg)
    return found


def floors_job(group: Group, floors: Mapping[str, Sequence[CfgNode]]) -> Job:
    """The job that fits all floors of a table, one after another, as `write_floors` wrote them."""
    folders = tuple(cfg.OUTPUT_DIR for part in floors.values() for cfg in part)
    command = (sys.executable, "-m", "co2s.engine.runner.floor_process", *folders)
    place = str(group.folder / FLOORS)
    return Job(group.named(FLOORS), place, folders, command, os.getcwd())


def write_floors(floors: Mapping[str, Sequence[CfgNode]]) -> None:
    """Write the configuration of each floor into its folder."""
    for cfg in (cfg for part in floors.values() for cfg in part):
        if options_in(Path(cfg.OUTPUT_DIR)) is None:
            write_text(Path(cfg.OUTPUT_DIR) / CONFIG, cfg.dump())


def refuse_others(cfg: CfgNode) -> None:
    """ValueError where the folder of a run holds one of other options."""
    folder = Path(cfg.OUTPUT_DIR)
    found = options_in(folder)
    if found is not None:
        refuse_other_options(folder, decisive(found), decisive(options(cfg)), advice=ADVICE)


def digest(cfg: CfgNode) -> str:
    """Twelve hexadecimal digits of all that decides what a run computes and is not the default, so
    that a key which is added later changes none."""
    values = options(cfg)
    defaults = default_options(values)
    own = {key: v for key, v in decisive(values).items() if defaults.get(key) != v}
    text = json.dumps(own, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def decisive(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide what is computed, wherever it lies: no keys of methods that the
    run's is no kind of."""
    kinds = META_ARCH_REGISTRY.get(values["MODEL.META_ARCHITECTURE"]).__mro__
    others = tuple(f"MODEL.{n.upper()}." for n, kind in META_ARCH_REGISTRY if kind not in kinds)
    place = f"{values['OUTPUT_DIR']}{os.sep}"
    return {
        key: f"OUTPUT_DIR{os.sep}{value.removeprefix(place)}"
        if isinstance(value, str) and value.startswith(place)  # prototypes that a run makes
        else value
        for key, value in values.items()
        if key not in FREE and key not in PLACES and not key.startswith(others)
    }
