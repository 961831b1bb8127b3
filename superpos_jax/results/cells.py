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
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import numpy as np
import xarray as xr

from superpos_jax.engine.study import Study, Variable
from superpos_jax.engine.verdicts import ALIVE, UNFINISHED, VERDICTS
from superpos_jax.errors import UserError

CELL, STEP = "cell", "step"
"""Names of dimensions."""

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


@dataclass(frozen=True)
class Measured:
    """Losses, summaries and traces of some cells at the recorded steps, as the engine gives them.

    Attributes:
        steps: at which was measured, ascending; the last one is the present.
        values: one entry a step: name -> (cells,), or (cells, ...) of what the study traces.
    """

    steps: list[int] = field(default_factory=list)
    values: list[dict[str, np.ndarray]] = field(default_factory=list)

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Add what was measured at a step."""
        self.steps.append(step)
        self.values.append(values)

    def died_at(self) -> np.ndarray:
        """(cells,) step of death. A loss that is not finite now is a death in the last update."""
        now = self.values[-1]
        losses = [values for name, values in now.items() if name.endswith("_loss")]
        infinite = ~np.isfinite(losses).all(axis=0) & (now["died_at"] == ALIVE)
        return np.where(infinite, now["updates"], now["died_at"])


def make_table(
    study: Study,
    cells: Sequence[Any],
    measured: Measured,
    run: int,
    verdicts: np.ndarray | None = None,
    reports: Sequence[Mapping[str, Variable]] = (),
) -> xr.Dataset:
    """The table of cells that were trained together.

    Args:
        study: of these cells.
        cells: as they were trained.
        measured: at the steps so far.
        run: which of the runs in the provenance trains them.
        verdicts: (cells,) how their training ended; by default they are still training.
        reports: what the study reports of each cell; of cells that are training nothing.

    Raises:
        UserError: the study reports something under the name of a number of its cells.
    """
    now, died_at = measured.values[-1], measured.died_at()
    dead = died_at != ALIVE
    if verdicts is None:
        verdicts = np.full(len(cells), UNFINISHED)
    outcome = {"verdict": verdicts, "died_at": died_at, "run": np.full(len(cells), run)}
    columns: Columns = {
        name: ((), outcome[name].astype(kind), attrs) for name, (kind, _, attrs) in OUTCOME.items()
    }
    columns |= _reported([study.given(cell) for cell in cells], np.zeros_like(dead))
    steps, is_past = _past(study, cells, measured)
    for name in now:
        if name in ("died_at", "updates"):
            continue
        words = name.replace("_", " ")
        history = _history([values[name] for values in measured.values])
        history = history[:, np.isin(measured.steps, steps)]
        history[~is_past] = np.nan
        if name in study.traces:
            attrs = {"long_name": f"{words} along training"}
            columns[f"history_{name}"] = (STEP, *study.traces[name]), _trimmed(history), attrs
        else:
            attrs = {"long_name": words}
            columns[name] = (), _blanked(_signed(np.array(now[name])), dead), attrs
            columns[f"history_{name}"] = (STEP,), history, attrs
    columns |= _reported(reports, dead)
    return _dataset(study, cells, columns, steps)


def outcome_table(study: Study, cells: Sequence[Any], verdict: int = UNFINISHED) -> xr.Dataset:
    """The table of cells of which nothing but a verdict is known; of no cells, the empty one."""
    columns: Columns = {
        name: ((), np.full(len(cells), blank, kind), attrs)
        for name, (kind, blank, attrs) in OUTCOME.items()
    }
    columns["verdict"][1][:] = verdict
    return _dataset(study, cells, columns, [])


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


def take(table: xr.Dataset, rows: Any) -> xr.Dataset:
    """Some rows of a table: their numbers, or a mask."""
    return table.isel({CELL: rows})


def keys(table: xr.Dataset) -> list[tuple[Any, ...]]:
    """The numbers of each row's cell, hashable: equal keys are equal cells."""
    names = sorted(str(name) for name in table.coords if name != STEP)
    columns = [table[name].values.tolist() for name in names]
    return list(zip(*columns, strict=True)) if columns else [()] * table.sizes[CELL]


def cells_of(table: xr.Dataset, study: Study) -> list[Any]:
    """The cells of a table's rows. A number that the study had not yet has its default.

    Raises:
        ValueError: the study has no such numbers any more.
    """
    hints = get_type_hints(study.cell_type)
    names = [str(name) for name in table.coords if name != STEP]
    if unknown := set(names) - set(study.cell_fields()):
        raise ValueError(f"numbers that the study does not have: {', '.join(sorted(unknown))}")
    columns = [[hints[name](value) for value in table[name].values.tolist()] for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * table.sizes[CELL]
    return [study.cell_type(**dict(zip(names, row, strict=True))) for row in rows]


def numbers_of(study: Study, cells: Iterable[Any]) -> dict[str, np.ndarray]:
    """The numbers of cells, by name: (cells,) whole or double-precision."""
    hints, cells = get_type_hints(study.cell_type), list(cells)
    return {
        name: np.array([getattr(cell, name) for cell in cells], _kind(hints[name]))
        for name in study.cell_fields()
    }


def absent(name: str, dtype: np.dtype[Any]) -> float:
    """What a variable holds of a cell that has no row, or no such variable."""
    return OUTCOME[name][1] if name in OUTCOME else missing(dtype)


def missing(dtype: np.dtype[Any]) -> float:
    """What stands for a number that is not there, in an array of a type."""
    return np.nan if np.issubdtype(dtype, np.floating) else -1


def stack(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of unequal shape; what a cell lacks is missing."""
    shape = tuple(np.max([cell.shape for cell in cells], axis=0).astype(int).tolist())
    return np.stack([_padded(cell, shape) for cell in cells]).astype(cells[0].dtype, copy=False)


def _past(study: Study, cells: Sequence[Any], measured: Measured) -> tuple[list[int], np.ndarray]:
    """The steps that some cell records, and (cells, steps) which are in a cell's own past."""
    own: dict[tuple[int, ...], np.ndarray] = {}
    rows = []
    for cell in cells:
        recorded = study.recorded(cell)
        if recorded not in own:
            own[recorded] = np.isin(measured.steps, recorded)
        rows.append(own[recorded])
    lived = np.array(measured.steps) <= measured.values[-1]["updates"][:, None]
    is_kept = np.array(rows).any(axis=0)
    steps = np.array(measured.steps)[is_kept].tolist()
    return steps, (np.array(rows) & lived)[:, is_kept]


def _history(values: Sequence[np.ndarray]) -> np.ndarray:
    """(cells, steps, ...) float32 of what was measured at each step."""
    return np.moveaxis(stack([np.asarray(value, np.float32) for value in values]), 0, 1).copy()


def _reported(reports: Sequence[Mapping[str, Variable]], dead: np.ndarray) -> Columns:
    """Columns of what the study says of each cell; of dead ones only what outlives them."""
    examples: dict[str, Variable] = {}
    for report in reports:
        examples = {**report, **examples}
    columns: Columns = {}
    for name, example in examples.items():
        kind = _signed(np.asarray(example.values)).dtype
        nothing = np.full((0,) * len(example.dims), missing(kind), kind)
        values = []
        for report, died in zip(reports, dead.tolist(), strict=True):
            value = _signed(np.asarray(report[name].values)) if name in report else nothing
            blank = died and name in report and not report[name].of_dead
            values.append(np.full_like(value, missing(value.dtype)) if blank else value)
        columns[name] = tuple(example.dims), stack(values), dict(example.attrs)
    return columns


def _signed(values: np.ndarray) -> np.ndarray:
    """Numbers in a type that has a value for missing ones."""
    if values.dtype.kind not in "bu":
        return values
    return values.astype(np.int64 if values.dtype.kind == "u" else np.int8)


def _blanked(values: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """(cells,) values that are missing for dead cells."""
    return np.where(dead, np.asarray(missing(values.dtype), values.dtype), values)


def _trimmed(values: np.ndarray) -> np.ndarray:
    """Histories (cells, steps, ...) without the padding behind them, which other cells needed."""
    is_there = np.isfinite(values)
    lengths = [
        int(
            np.flatnonzero(is_there.any(axis=tuple({*range(values.ndim)} - {axis}))).max(initial=-1)
        )
        for axis in range(2, values.ndim)
    ]
    return values[(slice(None), slice(None), *(slice(length + 1) for length in lengths))]


def _padded(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values in the corner of an array of that shape; the rest is missing."""
    if values.shape == shape:
        return values
    padded = np.full(shape, missing(values.dtype), values.dtype)
    padded[tuple(map(slice, values.shape))] = values
    return padded


def _kind(hint: Any) -> type:
    return np.int64 if hint is int else np.float64


def _dataset(
    study: Study, cells: Sequence[Any], columns: Columns, steps: Sequence[int]
) -> xr.Dataset:
    """A table of columns whose dimensions may be of unequal length."""
    if clash := sorted({*columns} & {*study.cell_fields(), CELL, STEP}):
        raise UserError(
            f"{type(study).__name__}.report: {clash[0]!r} is a number of the cell or a dimension; "
            "give it another name"
        )
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
