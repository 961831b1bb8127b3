"""A run's table of cells so far, and the runs that trained them, kept in a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from superpos_jax.engine import bits, collective
from superpos_jax.engine.bits import ANY
from superpos_jax.engine.program import Program
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.results import cells, view
from superpos_jax.results.grid import Grid
from superpos_jax.results.result import Result
from superpos_jax.results.sweep import Sweep
from superpos_jax.training import provenance
from superpos_jax.training.folder import Folder
from superpos_jax.training.provenance import PARTS, SHARD, SOURCES, THREADS, Machine

AND = " and "
"""Between numbers of which each decided the bits of some cells."""


class Logbook:
    """The table of all cells so far, with the runs that trained them.

    Args:
        sweep: what the folder shows.
        grid: of the sweep.
        folder: where all of it is kept; None for nowhere.
        table: what the folder holds already; None for nothing.
        retry: values with which failed cells are trained now.
        shard: which part of the cells is trained now, in words; empty for all of them.
    """

    def __init__(
        self,
        sweep: Sweep,
        grid: Grid,
        folder: Folder | None,
        table: xr.Dataset | None,
        retry: Mapping[str, Any],
        shard: str = "",
    ) -> None:
        self.sweep, self.grid, self.folder, self._shard = sweep, grid, folder, shard
        self.runs: list[Any] = [] if table is None else view.provenance(table)
        self.machines: list[Machine] = []
        """Whose bits are in the cells that are trained now."""
        self._retries = [] if table is None else view.retries(table)
        if retry:
            self._retries = [*(one for one in self._retries if one != retry), dict(retry)]
        self._clock = 0.0
        self.table = self._described(
            cells.outcome_table(grid.study, ()) if table is None else table
        )

    def begin(self, devices: int, before: Sequence[Machine]) -> None:
        """Note who trains; an interrupted run on this machine goes on under its old entry.

        Args:
            devices: how many there are.
            before: the machines that trained the checkpoints from which it goes on: bits of theirs
                are in its cells.
        """
        study = self.grid.study
        present, run = provenance.trainer(study), provenance.begun(devices, study)
        if sources := provenance.data_sources(study, self.grid.cells):
            run[SOURCES] = sources
        if self.runs and "finished" not in self.runs[-1]:
            *finished, interrupted = self.runs
            same_code = {key: interrupted.get(key) for key in present} == present
            if same_code and interrupted.get(SOURCES, {}) == sources:
                self.runs, run = finished, interrupted
        others: list[Machine] = []
        for machine in (*run.get("continued", []), *before):
            if machine not in (present, *others):
                others.append(machine)
        if others:
            run["continued"] = others
        if self._shard:
            run[SHARD] = self._shard
        self.machines = [*others, present]
        self.runs = [*self.runs, run]
        self._clock = time.monotonic()

    def add_seconds(self, name: str, seconds: float) -> None:
        """Add to the seconds that the present run spent on something."""
        self.runs[-1][name] += round(seconds, 3)

    def note_cores(self, program: Program) -> None:
        """Note what of the cores decides the bits of the cells that are trained now.

        Args:
            program: of this process; those of others may have other groups.
        """

        def own() -> list[tuple[str, int | str]]:
            return [(THREADS, bits.of_threads(program)), (PARTS, bits.of_devices(program))]

        for name, value in (pair for said in collective.together(own) for pair in said):
            before = self.runs[-1].get(name, ANY)
            if before == ANY:
                self.runs[-1][name] = value
            elif value != ANY and str(value) not in str(before).split(AND):
                self.runs[-1][name] = f"{before}{AND}{value}"

    def finish(self) -> None:
        """Note that the present run is at its end."""
        self.runs[-1]["finished"] = provenance.now()

    def add(self, rows: xr.Dataset) -> None:
        """Take in rows of cells, then write the table. A cell that has ended stays ended."""
        self.table = cells.gather(self.table, rows)
        self.write()

    def write(self) -> None:
        """Write the table to the folder, if there is one."""
        if self._clock:
            now = time.monotonic()
            self.add_seconds("wall_seconds", now - self._clock)
            self._clock = now
        self.table = self._described(self.table)
        if folder := self.folder:
            collective.shared(lambda: folder.write(self.table))

    def trained(self) -> set[Any]:
        """The cells that are trained to their end, with the values they were trained with."""
        ended = self.table["verdict"].values != UNFINISHED
        return {*cells.cells_of(cells.take(self.table, ended), self.grid.study)}

    def result(self) -> Result:
        """What the sweep shows."""
        return Result(view.to_grid(self.table, self.grid), self.grid)

    def _described(self, table: xr.Dataset) -> xr.Dataset:
        return view.describe(table, self.sweep, self.grid, self.runs, self._retries)
