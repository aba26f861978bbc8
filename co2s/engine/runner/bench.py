"""run_bench: from arguments and groups to trained cells and written tables."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from co2s.d2 import CfgNode
from co2s.tool import STOPPED

from .cells import FLOORS, Cell, Group, cells_of, floors_job, floors_of, write_floors
from .entries import parse_entries
from .estimate import Time, floors_left, measured
from .jobs import Job
from .local import LocalPool, slots
from .plan import plan
from .ray_pool import RayPool
from .results import rows_of
from .schedule import Outcome, Pool, Schedule
from .table import table_of
from .writing import write_tables

FAILED = 1  # exit code
WITH_FLOORS = """\
Floors: a linear layer on what no method has trained, fitted to the labelled images. Their scores
stand under the prediction that counts."""
WITHOUT_FLOORS = "The floors of this table were left out (--no-floors)."


class Bench:
    """The tables of a comparison, the cells of each, and their floors."""

    def __init__(self, args: argparse.Namespace, groups: Sequence[Group], train: Path) -> None:
        """ValueError where something of it cannot be; nothing is written."""
        entries = parse_entries(args.methods)
        if twice := [name for name, count in Counter(g.name for g in groups).items() if count > 1]:
            raise ValueError(f"{twice[0]} is asked for twice, and would share a folder.")
        self.groups = [*groups]
        self.cells = {g.name: cells_of(g, entries, args.seeds, args.opts, train) for g in groups}
        self.floors: dict[str, dict[str, list[CfgNode]]] = {
            g.name: floors_of(g, self.cells[g.name]) if args.floors else {} for g in groups
        }
        self.note = WITH_FLOORS if args.floors else WITHOUT_FLOORS
        # By the name of a job the table that it belongs to.
        self.owners = {c.job.name: c.group for part in self.cells.values() for c in part}
        self.owners |= {group.named(FLOORS): group for group in groups}

    @property
    def all_cells(self) -> list[Cell]:
        return [cell for part in self.cells.values() for cell in part]

    @property
    def floor_jobs(self) -> list[Job]:
        """One for each table that has floors."""
        return [floors_job(g, self.floors[g.name]) for g in self.groups if self.floors[g.name]]

    def times_of_floors(self, environment: Mapping[str, str]) -> dict[str, Time]:
        """By the name of its job what is left of the floors of a table takes."""
        return {
            g.named(FLOORS): floors_left(
                [cfg for cfgs in self.floors[g.name].values() for cfg in cfgs], environment
            )
            for g in self.groups
            if self.floors[g.name]
        }

    def write(self, group: Group) -> str:
        """Write a table from what there is; returns it as Markdown."""
        cells = self.cells[group.name]
        rows = rows_of(self.floors[group.name], cells)
        datasets = cells[0].cfg.DATASETS.TEST
        tables = [table_of(group.name, rows, name, group.published) for name in datasets]
        notes = [self.note]
        if group.source and group.published:
            notes.insert(0, f"Published, not run here: {group.source}.")
        return write_tables(group.table, tables, notes)


def run_bench(args: argparse.Namespace, groups: Sequence[Group], train: Path) -> None:
    """Run or plan what `add_arguments` has asked for; train: tools/train_net.py.

    SystemExit with 1 where cells failed, 75 where a signal ended it.
    """
    # That a checkpoint is damaged says the training that goes on from another.
    logging.getLogger("co2s").addHandler(logging.NullHandler())
    bench = Bench(args, groups, train)
    environments = [] if args.ray else slots(args.jobs, [cell.cfg for cell in bench.all_cells])
    if args.dry_run:
        pool = RayPool(args.ray) if args.ray else None
        count = pool.free if pool else len(environments)
        environment = environments[0] if environments else {}
        floors = bench.times_of_floors(environment)
        measure = partial(measured, environment=environment)
        _say(plan([*bench.cells.values()], floors, count, measure))
        return
    outcome = _run(bench, RayPool(args.ray) if args.ray else LocalPool(environments))
    for group in bench.groups:
        _say("\n" + bench.write(group))
    for name, why in outcome.failed.items():
        _say(f"Failed: {name}: {why}")
    if outcome.stopped:
        _say("Stopped; the same command goes on.")
        sys.exit(STOPPED)
    if outcome.failed:
        sys.exit(FAILED)


def _run(bench: Bench, pool: Pool) -> Outcome:
    jobs = [*bench.floor_jobs, *(cell.job for cell in bench.all_cells)]
    left = [job for job in jobs if not job.is_done()]
    for floors in bench.floors.values():
        write_floors(floors)
    _say(f"{len(jobs) - len(left)} of {len(jobs)} cells are done, {len(left)} are to do.")
    return Schedule(pool, _say, partial(_write_so_far, bench)).run(left)


def _write_so_far(bench: Bench, job: Job) -> None:
    """The table of a job that is through; what stops that must not stop what still runs."""
    try:
        bench.write(bench.owners[job.name])
    except (OSError, ValueError) as error:
        _say(f"The table is not written: {error}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
