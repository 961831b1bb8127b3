"""A table of cells: all that is stored of each cell, in one dataset over the dimension `cell`.

    coordinates        (cell,)       the numbers of each cell, as it was trained
    verdict            (cell,)       how its training ended; died_at: its step of death
    run                (cell,)       which of the runs in the provenance trained it
    losses, summaries  (cell,)       at its last step so far
    history_...        (cell, step)  the same at the recorded steps
    what the study reports           (cell, ...)

A table says nothing of a grid, so a plane that grows, shrinks or is still training is a table with
other rows. What a cell lacks is missing: NaN, and -1 in arrays of whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import xarray as xr

from superpos_jax.engine.contract import refuse_taken
from superpos_jax.engine.study import Study
from superpos_jax.engine.terms import CELL, STEP
from superpos_jax.engine.verdicts import ALIVE, UNFINISHED, VERDICTS

HISTORY = "history_"
"""Before the name of a quantity: its values along training."""
RETRY = "retry_"
"""Prefix of the arrays that say with which value a cell was retried."""

OUTCOME: Mapping[str, tuple[type, int, Mapping[str, Any]]] = {
    "verdict": (
        np.int8,
        UNFINISHED,
        {"flag_values": list(range(len(VERDICTS))), "flag_meanings": " ".join(VERDICTS)},
    ),
    "died_at": (np.int32, ALIVE, {"long_name": "step of death; -1: alive"}),
    "run": (np.int16, -1, {"long_name": "run that trained it; -1: none"}),
}
"""What every table has of every cell: type, value of a cell without a row, attributes."""

Columns = dict[str, tuple[tuple[str, ...], np.ndarray, Mapping[str, Any]]]
"""By name: dimensions behind `cell`, values (cells, ...), attributes."""


def outcome_table(study: Study, cells: Sequence[Any], verdict: int = UNFINISHED) -> xr.Dataset:
    """The table of cells of which nothing but a verdict is known; of no cells, the empty one."""
    columns: Columns = {
        name: ((), np.full(len(cells), blank, kind), attrs)
        for name, (kind, blank, attrs) in OUTCOME.items()
    }
    columns["verdict"][1][:] = verdict
    return labelled(study, cells, columns, [])


def join(*tables: xr.Dataset) -> xr.Dataset:
    """One table of the rows of several, with the attributes of the first one.

    A row replaces an earlier one of the same cell. Dimensions are as long as the longest.
    """
    places: dict[Any, tuple[int, int]] = {}
    for number, table in enumerate(tables):
        places |= {key: (number, row) for row, key in enumerate(keys(table))}
    origin = np.array(list(places.values()), np.int64).reshape(-1, 2)
    steps = np.array(sorted({step for table in tables for step in table[STEP].values.tolist()}))
    sizes = {STEP: len(steps)}
    examples: dict[str, xr.Variable] = {}
    for table in tables:
        for name, variable in table.data_vars.items():
            examples.setdefault(str(name), variable.variable)
        for dim in map(str, table.sizes):
            sizes[dim] = len(steps) if dim == STEP else max(table.sizes[dim], sizes.get(dim, 0))

    def joined(name: str, example: xr.Variable) -> np.ndarray:
        parts = [table.get(name) for table in tables]
        dtype = np.result_type(*(part.dtype for part in parts if part is not None))
        shape = (len(origin), *(sizes[str(dim)] for dim in example.dims[1:]))
        values = np.full(shape, absent(name, dtype), dtype)
        for number, part in enumerate(parts):
            if part is None:
                continue
            rows = np.flatnonzero(origin[:, 0] == number)
            corner: list[Any] = [rows, *map(slice, part.shape[1:])]
            if STEP in part.dims:
                corner[:2] = np.ix_(rows, np.searchsorted(steps, part[STEP].values))
            values[tuple(corner)] = part.values[origin[rows, 1]]
        return values

    columns: Columns = {
        name: (tuple(map(str, example.dims[1:])), joined(name, example), example.attrs)
        for name, example in examples.items()
    }
    numbers = {
        name: joined(name, tables[0].coords[name].variable)
        for name in map(str, tables[0].coords)
        if name != STEP
    }
    return _table(numbers, columns, steps).assign_attrs(tables[0].attrs)


def gather(*tables: xr.Dataset) -> xr.Dataset:
    """One table of several, as `join`, but no unfinished row replaces one that has ended."""
    ends = [table["verdict"].values != UNFINISHED for table in tables]
    ended = {
        key
        for table, has in zip(tables, ends, strict=True)
        for key, row_has in zip(keys(table), has, strict=True)
        if row_has
    }

    def later(table: xr.Dataset, has: np.ndarray) -> xr.Dataset:
        stays = [row_has or key not in ended for key, row_has in zip(keys(table), has, strict=True)]
        return take(table, stays)

    return join(tables[0], *map(later, tables[1:], ends[1:]))


def take(table: xr.Dataset, rows: Any) -> xr.Dataset:
    """Some rows of a table: their numbers, or a mask."""
    return table.isel({CELL: rows})


def keys(table: xr.Dataset) -> list[tuple[Any, ...]]:
    """The numbers of each row's cell, hashable: equal keys are equal cells."""
    names = sorted(str(name) for name in table.coords if name != STEP)
    columns = [table[name].values.tolist() for name in names]
    return list(zip(*columns, strict=True)) if columns else [()] * table.sizes[CELL]


def rows_of(cells: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The numbers of each cell, in the order of their fields.

    >>> from superpos_jax.studies.double_descent.cell import Cell
    >>> rows_of([Cell(T=5, m=3)])[0][:3]
    (5, 3, 0)
    """
    names = [field.name for field in fields(cells[0])] if cells else []
    return [*zip(*([getattr(cell, name) for cell in cells] for name in names), strict=True)]


def cells_of(table: xr.Dataset, study: Study) -> list[Any]:
    """The cells of a table's rows. A number that the study had not yet has its default.

    Raises:
        ValueError: the study has no such numbers any more.
    """
    hints = get_type_hints(study.Cell)
    names = [str(name) for name in table.coords if name != STEP]
    if unknown := set(names) - set(study.cell_fields()):
        raise ValueError(f"numbers that the study does not have: {', '.join(sorted(unknown))}")
    columns = [[*map(hints[name], table[name].values.tolist())] for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * table.sizes[CELL]
    return [study.Cell(**dict(zip(names, row, strict=True))) for row in rows]


def numbers_of(study: Study, cells: Iterable[Any]) -> dict[str, np.ndarray]:
    """The numbers of cells, by name: (cells,) whole or double-precision."""
    hints, cells = get_type_hints(study.Cell), list(cells)
    return {
        name: np.array([getattr(cell, name) for cell in cells], _kind(hints[name]))
        for name in study.cell_fields()
    }


def absent(name: str, dtype: np.dtype[Any]) -> float:
    """What a variable holds of a cell that has no row, or no such variable."""
    return OUTCOME[name][1] if name in OUTCOME else missing(dtype)


def missing(dtype: np.dtype[Any]) -> float:
    """What stands for a number that is not there, in an array of a type."""
    return np.nan if np.issubdtype(dtype, np.inexact) else -1


def stack(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of unequal shape, in a type that holds all; what a cell lacks is missing."""
    shape = tuple(np.max([cell.shape for cell in cells], axis=0).astype(int).tolist())
    kind = np.result_type(*(cell.dtype for cell in cells))
    return np.stack([_padded(cell.astype(kind, copy=False), shape) for cell in cells])


def _padded(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values in the corner of an array of that shape; the rest is missing."""
    if values.shape == shape:
        return values
    padded = np.full(shape, missing(values.dtype), values.dtype)
    padded[tuple(map(slice, values.shape))] = values
    return padded


def _kind(hint: Any) -> type:
    return np.int64 if hint is int else np.float64


def labelled(
    study: Study, cells: Sequence[Any], columns: Columns, steps: Sequence[int]
) -> xr.Dataset:
    """A table of columns whose dimensions may be of unequal length."""
    refuse_taken(study, sorted(columns))
    sizes: dict[str, int] = {}
    for dims, values, _ in columns.values():
        for dim, size in zip(dims, values.shape[1:], strict=True):
            sizes[dim] = max(size, sizes.get(dim, 0))
    padded: Columns = {
        # Cells that are training have histories of arrays that nobody reports yet.
        name: (dims, _padded(values, (len(values), *(sizes[dim] for dim in dims))), attrs)
        for name, (dims, values, attrs) in columns.items()
    }
    return _table(numbers_of(study, cells), padded, np.asarray(steps))


def _table(numbers: Mapping[str, np.ndarray], columns: Columns, steps: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {
            name: ((CELL, *dims), values, dict(attrs))
            for name, (dims, values, attrs) in columns.items()
        },
        {name: (CELL, values) for name, values in numbers.items()} | {STEP: steps.astype(np.int64)},
    )
