"""What a run has to do in a folder: which cells are left to train, and with which values."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine.collective import Message
from superpos_jax.engine.verdicts import FAILED, FINISHED, UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import cells, view
from superpos_jax.results.grid import Grid, refuse_wrong
from superpos_jax.results.sweep import Sweep
from superpos_jax.training.checkpoint import cells_from
from superpos_jax.training.folder import Folder
from superpos_jax.training.provenance import changed_data, changed_source, data_sources
from superpos_jax.training.shards import Shard

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What one run has to do.

    Attributes:
        sweep, grid: what the result shows.
        folder: where it is kept; None for nowhere.
        table: what the folder holds; None for nothing, or nothing that counts.
        cells: to train, with the values to train them with.
        retry: values in place of the sweep's, where failed cells are trained again.
        fresh: whether the folder is emptied first.
        shard: which part of the sweep it trains, as `3/16`; empty for all of it.
    """

    sweep: Sweep
    grid: Grid
    folder: Folder | None
    table: xr.Dataset | None
    cells: tuple[Any, ...]
    retry: Mapping[str, Any]
    fresh: bool
    shard: str


@contextlib.contextmanager
def opened(
    sweep: Sweep,
    grid: Grid,
    folder: Folder | None,
    *,
    fresh: bool = False,
    retry: Mapping[str, Any] | None = None,
    mix: bool = False,
    shard: Shard | None = None,
) -> Iterator[Job]:
    """What there is to do in a folder, which no other run may enter meanwhile.

    Args:
        sweep: whose cells are to be trained.
        grid: of the sweep.
        folder: of the sweep; None for a result that is not kept.
        fresh, retry, mix: as `run` takes them.
        shard: train its cells alone.

    Raises:
        UserError: the folder is in use, or holds something else; a value of the retry is wrong.
    """
    with folder.locked() if folder else contextlib.nullcontext():
        table = folder.read() if folder and not fresh else None
        if folder and table is None and retry is not None:
            raise UserError(f"--out {folder.path}: no result whose failed cells could be retried")
        values = grid.replacements(retry or {})
        todo = _to_train(grid, table, None if retry is None else values)
        if shard and retry is None:
            own = {*shard.cells(grid)}
            todo = tuple(cell for cell in todo if cell in own)
        refuse_wrong(grid.study, todo)
        if folder and table is not None and not mix:
            runs = view.provenance(table)
            changed = changed_source(runs, type(grid.study))
            # Where nothing is left to train, data that cannot be read any more are no error.
            with contextlib.nullcontext() if todo else contextlib.suppress(UserError):
                changed = changed or changed_data(runs, data_sources(grid.study, grid.cells))
            if changed and todo:
                raise UserError(
                    f"--out {folder.path}: {changed}; --mix trains what is left with what is"
                    " there now, half-trained cells from the start; or choose another --out"
                )
            if changed:
                logger.warning("%s; --fresh trains them again", changed)
        yield Job(sweep, grid, folder, table, todo, values, fresh, str(shard or ""))


def packed(job: Job) -> Message:
    """A job as the process that opened it tells it to the others."""
    said = {
        "sweep": job.sweep.model_dump_json(),
        "folder": None if job.folder is None else str(job.folder.path),
        "cells": cells.rows_of(job.cells),
        "retry": dict(job.retry),
        "fresh": job.fresh,
        "shard": job.shard,
    }
    if job.table is None:
        return said, {}
    said["table"] = job.table.to_dict(data=False)
    return said, {str(name): array.values for name, array in job.table.variables.items()}


def unpacked(message: Message) -> Job:
    """The job of a message; its folder is written by the process that leads alone."""
    said, arrays = message
    sweep = Sweep(**json.loads(said["sweep"]))
    grid, table = sweep.grid(), said.get("table")
    folder = said["folder"] and Folder(said["folder"], sweep, grid, checked=True)
    if table is not None:
        coordinates, variables = (
            {
                name: (each["dims"], arrays[name], each["attrs"])
                for name, each in table[kind].items()
            }
            for kind in ("coords", "data_vars")
        )
        table = xr.Dataset(variables, coordinates, table["attrs"])
    todo = tuple(cells_from(grid.study, said["cells"]))
    return Job(sweep, grid, folder, table, todo, said["retry"], said["fresh"], said["shard"])


def _to_train(
    grid: Grid, table: xr.Dataset | None, retry: Mapping[str, Any] | None
) -> tuple[Any, ...]:
    """The cells that have no end yet; or those that failed, with the values of a retry."""
    if table is None:
        return grid.cells
    verdicts = view.verdicts(table, grid)
    if retry is None:
        return tuple(grid.cells[i] for i in np.flatnonzero(verdicts == UNFINISHED))
    ended = table["verdict"].values == FINISHED
    finished = {*cells.cells_of(cells.take(table, ended), grid.study)}
    failed = (grid.cells[i] for i in np.flatnonzero(np.isin(verdicts, FAILED)))
    again = dict.fromkeys(replace(cell, **retry) for cell in failed)
    return tuple(cell for cell in again if cell not in finished)
