"""What users see of a table of cells: one labelled array per quantity, over the axes of a grid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine.once import Once
from superpos_jax.engine.study import Study
from superpos_jax.engine.terms import CELL, STEP
from superpos_jax.engine.verdicts import FAILED, NON_FINITE, UNFINISHED, VERDICTS
from superpos_jax.results.cells import (
    OUTCOME,
    RETRY,
    absent,
    cells_of,
    join,
    missing,
    numbers_of,
    outcome_table,
)
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import Sweep

ARCHIVED = "archived"
"""Marks a run of the provenance whose cells were read from an archive: some arrays are not there,
and large ones are in part, and rounded."""
FORMAT = 3
"""Of a store: 3 holds a table of cells, 2 held arrays over a grid."""


def describe(
    table: xr.Dataset,
    sweep: Sweep,
    grid: Grid,
    runs: Sequence[Any],
    retries: Sequence[Mapping[str, Any]] = (),
) -> xr.Dataset:
    """The table with the attributes that a store has.

    Args:
        table: of these cells, and of others that the sweep hides.
        sweep: what the store shows.
        grid: of the sweep.
        runs: those that trained the cells, in order of time.
        retries: values of the retries of failed cells, in order of time.
    """
    fixed = fixed_values(grid)
    ever = {*swept(table), *grid.swept}
    described = table.drop_attrs(deep=False).assign_attrs(
        format=FORMAT,
        name=sweep.name,
        study=sweep.study,
        sweep=sweep.model_dump_json(),
        cell=json.dumps(fixed),
        options=grid.study.options.model_dump_json(),
        conventions=(grid.study.__doc__ or "").strip(),
        swept=json.dumps(sorted(ever)),
        retries=json.dumps(list(retries)),
    )
    return with_provenance(described, runs)


def provenance(dataset: xr.Dataset) -> list[Any]:
    """The runs that trained the cells of a dataset, in order of time."""
    latest = json.loads(dataset.attrs["provenance"])
    return [run for run in (*latest.pop("earlier", []), latest) if run]


def with_provenance(dataset: xr.Dataset, runs: Sequence[Any]) -> xr.Dataset:
    """The dataset as one whose cells these runs trained, in order of time."""
    *earlier, latest = runs or [{}]
    told = latest | ({"earlier": earlier} if earlier else {})
    return dataset.assign_attrs(provenance=json.dumps(told))


def noted(dataset: xr.Dataset, **notes: Any) -> xr.Dataset:
    """The dataset with a note in every run of its provenance."""
    runs = [{**run, **notes} for run in provenance(dataset)]
    return with_provenance(dataset, runs)


def data_sources(dataset: xr.Dataset) -> list[str]:
    """What was read for the cells of a dataset, besides the package: a line each, with a hash."""
    read = (run.get("data_sources", {}).items() for run in provenance(dataset))
    return [*dict.fromkeys(f"{name}: {text}" for own in read for name, text in own)]


def retries(table: xr.Dataset) -> list[dict[str, Any]]:
    """The values of the retries that were made, in order of time."""
    return json.loads(table.attrs.get("retries", "[]"))


def swept(table: xr.Dataset) -> list[str]:
    """The numbers of a cell that the sweeps of a store have varied so far."""
    return json.loads(table.attrs.get("swept", "[]"))


def fixed_values(grid: Grid) -> dict[str, Any]:
    """The numbers that all cells of a grid have in common."""
    return {name: value for name, value in asdict(grid.cells[0]).items() if name not in grid.swept}


def shown_rows(table: xr.Dataset, grid: Grid) -> tuple[np.ndarray, list[Mapping[str, Any]]]:
    """Which row of a table each cell of a grid shows, and with which values it was retried.

    In the place of a cell that died or diverged stands its last retry that has ended.

    Returns:
        (cells,) numbers of rows, -1 where there is none; and for each cell the retry's values.
    """
    rows = {cell: row for row, cell in enumerate(cells_of(table, grid.study))}
    ends = table["verdict"].values
    changes = [change for change in retries(table) if not {*change} & grid.swept]
    shown, made = np.full(len(grid.cells), -1), list[Mapping[str, Any]]()
    for i, cell in enumerate(grid.cells):
        row, values = rows.get(cell, -1), dict[str, Any]()
        for change in changes:
            if row < 0 or ends[row] not in FAILED:
                break
            again = rows.get(replace(cell, **change), -1)
            if again >= 0 and ends[again] != UNFINISHED:
                row, values = again, change
        shown[i] = row
        made.append(values)
    return shown, made


def verdicts(table: xr.Dataset, grid: Grid) -> np.ndarray:
    """(cells,) verdicts that a grid shows; a cell without a row is unfinished."""
    rows, _ = shown_rows(table, grid)
    return np.append(table["verdict"].values, UNFINISHED)[rows]


def to_grid(table: xr.Dataset, grid: Grid) -> xr.Dataset:
    """The table as arrays over the axes of a grid; missing where a cell has no row.

    Args:
        table: with the attributes of a store.
        grid: gives axes and cells; rows of other cells are hidden.
    """
    rows, changes = shown_rows(table, grid)
    taken = np.flatnonzero(rows >= 0)
    shown = table if len(taken) else table[list(OUTCOME)]
    trained = [
        replace(cell, **change) if change else cell
        for cell, change in zip(grid.cells, changes, strict=True)
    ]
    steps = _steps(table.isel({CELL: rows[taken]}), grid.study, trained)

    def over_axes(name: str, variable: xr.DataArray) -> xr.Variable:
        values = variable.values
        if STEP in variable.dims:
            values = _at(steps, table[STEP].values, values)
        laid = np.full((len(rows), *values.shape[1:]), absent(name, values.dtype), values.dtype)
        laid[taken] = values[rows[taken]]
        dims = (*grid.axes, *map(str, variable.dims[1:]))
        return xr.Variable(dims, laid.reshape((*grid.shape, *laid.shape[1:])), variable.attrs)

    variables = {str(name): over_axes(str(name), v) for name, v in shown.data_vars.items()}
    for name in dict.fromkeys(name for change in changes for name in change):
        values = np.array([change.get(name, np.nan) for change in changes], np.float64)
        attrs = {"long_name": f"{name} when retried"}
        variables[RETRY + name] = xr.Variable(tuple(grid.axes), values.reshape(grid.shape), attrs)
    own = ("format", "name", "study", "sweep", "cell", "options", "provenance", "conventions")
    attrs = {name: table.attrs[name] for name in own if name in table.attrs}
    coordinates = {**grid.coordinates(), STEP: np.asarray(steps, np.int64)}
    return xr.Dataset(variables, coordinates, attrs)


def from_grid(dataset: xr.Dataset, grid: Grid) -> xr.Dataset:
    """The table of a result: what `to_grid` made a dataset of.

    Of the first training of a retried cell it says no more than that it failed.

    Args:
        dataset: over the axes of the grid, or over some of their values.
        grid: of the result's sweep.

    Raises:
        ValueError: a coordinate of the dataset is not a value of the grid.
    """
    places = []
    for axis, values in grid.axes.items():
        order = {value: i for i, value in enumerate(values)}
        if axis not in dataset.dims:
            raise ValueError(f"{axis} is not a dimension; allowed: some of its values, as a list")
        try:
            places.append([order[value] for value in dataset[axis].values.tolist()])
        except KeyError as error:
            raise ValueError(f"{axis}: {error.args[0]!r} is not of the sweep") from None
    numbers = np.arange(len(grid.cells)).reshape(grid.shape)[np.ix_(*places)].ravel()
    cells = [grid.cells[i] for i in numbers]
    table = flattened(dataset, tuple(grid.axes), grid.study, cells)
    return table.assign_attrs(swept=json.dumps(sorted(grid.swept)))


def flattened(
    dataset: xr.Dataset, axes: tuple[str, ...], study: Study, cells: Sequence[Any]
) -> xr.Dataset:
    """The table of arrays over some axes, whose cells are given in row-major order."""

    def flat(array: xr.DataArray) -> np.ndarray:
        dims = [str(dim) for dim in array.dims if dim not in axes]
        lacking = {axis: dataset.sizes[axis] for axis in axes if axis not in array.dims}
        laid = array.expand_dims(lacking).transpose(*axes, *dims).values
        return laid.reshape(len(cells), *laid.shape[len(axes) :])

    ends, runs = flat(dataset["verdict"]), flat(dataset["run"])
    begun = np.flatnonzero((ends != UNFINISHED) | (runs >= 0)).tolist()
    variables: dict[str, Any] = {}
    changes: dict[int, dict[str, Any]] = {i: {} for i in begun}
    for name, array in dataset.data_vars.items():
        values = flat(array)
        if field := str(name).startswith(RETRY) and str(name).removeprefix(RETRY):
            kind = type(getattr(cells[0], field))
            for i in begun:
                if not np.isnan(values[i]):
                    changes[i][field] = kind(values[i].item())
        else:
            dims = [dim for dim in array.dims if dim not in axes]
            variables[str(name)] = ((CELL, *dims), values[begun], array.attrs)
    trained = [replace(cells[i], **changes[i]) for i in begun]
    coordinates = {name: (CELL, v) for name, v in numbers_of(study, trained).items()}
    steps = dataset[STEP].values if STEP in dataset.coords else np.zeros(0, np.int64)
    table = xr.Dataset(variables, {**coordinates, STEP: steps}, dataset.attrs)
    retried = sorted((i for i in begun if changes[i]), key=lambda i: int(runs[i]))
    made = dict.fromkeys(json.dumps(changes[i]) for i in retried)
    table.attrs["retries"] = json.dumps([json.loads(change) for change in made])
    return join(table, outcome_table(study, [cells[i] for i in retried], NON_FINITE))


def _steps(rows: xr.Dataset, study: Study, cells: Iterable[Any]) -> list[int]:
    """The steps that some cell records, and those at which some row has a history."""
    steps = {step for own in {*map(Once(study.recorded), cells)} for step in own}
    for array in rows.data_vars.values():
        if array.dims == (CELL, STEP):
            steps |= {*rows[STEP].values[np.isfinite(array.values).any(axis=0)].tolist()}
    return sorted(steps)


def _at(wanted: Sequence[int], steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Histories (cells, steps, ...) at the wanted steps; missing where they are not known."""
    shape = (len(values), len(wanted), *values.shape[2:])
    at_wanted = np.full(shape, missing(values.dtype), values.dtype)
    common = np.isin(wanted, steps)
    at_wanted[:, common] = values[:, np.searchsorted(steps, np.asarray(wanted)[common])]
    return at_wanted


def ended_as(dataset: xr.Dataset, *ends: int) -> Iterator[dict[str, Any]]:
    """Axes' values, verdict and step of death of the cells with one of these verdicts."""
    array = dataset["verdict"]
    for index in np.argwhere(np.isin(array.values, ends)):
        at = dict(zip(array.dims, index.tolist(), strict=True))
        point = {str(dim): array[dim].values[i].item() for dim, i in at.items()}
        died = int(dataset["died_at"][at])
        yield point | {"verdict": VERDICTS[int(array[at])], "step": died if died >= 0 else ""}
