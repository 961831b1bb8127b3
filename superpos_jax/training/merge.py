"""Result folders of one sweep, put together: the shards of many machines become one result."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.errors import UserError
from superpos_jax.results import store, view
from superpos_jax.results.cells import gather
from superpos_jax.results.grid import Grid
from superpos_jax.results.result import Result, sweep_of
from superpos_jax.results.sweep import Sweep
from superpos_jax.results.values import brief
from superpos_jax.training.folder import Folder, other_fields
from superpos_jax.training.provenance import SOURCE, SOURCES

logger = logging.getLogger(__name__)

Run = Mapping[str, Any]


def merge(
    folders: Sequence[str | Path], out: str | Path | None = None, *, mix: bool = False
) -> Result:
    """Put the cells of result folders together, as `superpos merge` does.

    Every cell keeps its bits and the run that trained it. Cells that no folder has finished are
    unfinished; `sp.run(sweep, out=out)` trains them, or merge again when their shards are done.

    Args:
        folders: of one sweep, with its shards or any other of its cells. One that holds no result
            yet is left out with a warning. Of a cell that several have finished the last counts.
        out: keep the result in this folder, beside the cells that it holds already.
        mix: merge though the study's code, versions or data differ between the runs.

    Returns:
        The labelled result, with provenance of all runs.

    Raises:
        UserError: the folders do not belong together, with the fields that differ, or one cannot
            be read; `out` holds something else or is in use.
    """
    if isinstance(folders, str | Path):
        raise UserError(f"merge: {str(folders)!r} is one folder; allowed: a list of folders")
    tables = dict(_read(folders))
    if not tables:
        raise UserError("merge: no result in any of the folders")
    first = next(iter(tables.values()))
    sweep = sweep_of(first)
    grid = sweep.grid()
    for path, table in tables.items():
        if changes := [*other_fields(table, sweep, grid), *_other_axes(table, grid)]:
            raise UserError(
                f"{path}: another sweep than {next(iter(tables))}: {'; '.join(changes)}"
            )
    if out is None:
        return _merged(tables, sweep, grid, mix)[1]
    folder = Folder(out, sweep, grid)
    with folder.locked():
        held = folder.read()
        table, result = _merged(
            tables if held is None else {folder.path: held, **tables}, sweep, grid, mix
        )
        folder.write(table)
    return result


def _read(folders: Sequence[str | Path]) -> Iterator[tuple[Path, xr.Dataset]]:
    """The tables of folders; a run that was killed early has left a folder without one."""
    for path in map(Path, folders):
        if path.suffix == ".zip":
            raise UserError(f"{path}: an archive holds a part of a result; merge its folder")
        if path.is_dir() and not any((path / name).is_dir() for name in (store.STORE, store.OLD)):
            logger.warning("%s: no result yet, left out", path)
        else:
            yield path, store.read_table(path)


def _merged(
    tables: Mapping[Path, xr.Dataset], sweep: Sweep, grid: Grid, mix: bool
) -> tuple[xr.Dataset, Result]:
    """One table of all, with the runs that trained its cells in order of time; what it shows."""
    ran = {path: view.provenance(table) for path, table in tables.items()}
    if not mix:
        _refuse_mixed(ran)
    every = {json.dumps(run, sort_keys=True): run for own in ran.values() for run in own}
    keys = sorted(every, key=lambda key: every[key]["started"])
    table = gather(
        *(
            _numbered(tables[path], [keys.index(json.dumps(run, sort_keys=True)) for run in own])
            for path, own in ran.items()
        )
    )
    used = np.unique(table["run"].values[table["run"].values >= 0]).tolist()
    table = _numbered(table, [used.index(i) if i in used else -1 for i in range(len(keys))])
    retries = [change for part in tables.values() for change in view.retries(part)]
    swept = sorted({name for part in tables.values() for name in view.swept(part)})
    table = view.describe(
        table.assign_attrs(swept=json.dumps(swept)),
        sweep,
        grid,
        [every[keys[i]] for i in used],
        [change for i, change in enumerate(retries) if change not in retries[:i]],
    )
    return table, Result(view.to_grid(table, grid), grid)


def _numbered(table: xr.Dataset, numbers: Sequence[int]) -> xr.Dataset:
    """The table with other numbers for its runs; -1, of a cell without one, stays."""
    run = table["run"]
    return table.assign(run=run.copy(data=np.array([*numbers, -1], run.dtype)[run.values]))


def _other_axes(table: xr.Dataset, grid: Grid) -> list[str]:
    """Which axes of a table's sweep are not those of a grid, in words."""
    other = sweep_of(table).grid()
    differ = (
        axis
        for axis in {**other.axes, **grid.axes}
        if other.settings.get(axis) != grid.settings.get(axis)
    )
    return [f"axes.{axis} = {_words(other, axis)}, not {_words(grid, axis)}" for axis in differ]


def _words(grid: Grid, axis: str) -> str:
    """What an axis has in a grid; of arms and values that go together, what they set."""
    return brief(list(grid.joint.get(axis) or grid.axes[axis])) if axis in grid.axes else "none"


def _refuse_mixed(ran: Mapping[Path, Sequence[Run]]) -> None:
    """Refuse cells of other code of the study, other versions or other data."""
    first: dict[str, tuple[Any, Path]] = {}
    for path, runs in ran.items():
        for run in runs:
            own = {SOURCE: run.get(SOURCE), **run["versions"], **run.get(SOURCES, {})}
            own = {field: value for field, value in own.items() if value}
            others = {f: first.setdefault(f, (value, path)) for f, value in own.items()}
            differ = [f for f in own if own[f] != others[f][0]]
            if differ:
                words = "; ".join(f"{f} = {own[f]}, not {others[f][0]}" for f in differ)
                raise UserError(
                    f"{path}: trained differently from {others[differ[0]][1]}: {words}; --mix "
                    "merges them all the same"
                )
