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


@dataclass
class Measured:
    """What was measured of some cells along their training, as the engine gives it.

    Attributes:
        steps: at which was measured, ascending; the last one is the present.
        values: one entry a step: name -> (cells,), or (cells, ...) of what the study traces; NaN of
            a cell that is not at that step. `died_at`, `ended` and `updates` are of every cell.
        final: the same of all cells at their end, once they have come to it.
    """

    steps: list[int] = field(default_factory=list)
    values: list[dict[str, np.ndarray]] = field(default_factory=list)
    final: dict[str, np.ndarray] | None = None

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Add what was measured at a step."""
        self.steps.append(step)
        self.values.append(values)

    def outcome(self, name: str) -> np.ndarray:
        """(cells,) `died_at`, `ended` or `updates` of each cell now."""
        return (self.final or self.values[-1])[name]

    def now(self) -> dict[str, np.ndarray]:
        """(cells,) by name: the quantities of each cell at its end, else at its latest step."""
        if self.final is not None:
            return {name: self.final[name] for name in self.final if name not in STATE}
        latest = np.searchsorted(self.steps, self.outcome("updates"), side="right") - 1
        single = (name for name, v in self.values[0].items() if name not in STATE and v.ndim == 1)
        rows = np.arange(len(latest))
        return {name: np.array([v[name] for v in self.values])[latest, rows] for name in single}

    def died_at(self) -> np.ndarray:
        """(cells,) step of death. A loss that is not finite now is a death in the last update."""
        died_at = self.outcome("died_at")
        losses = [values for name, values in self.now().items() if name.endswith("_loss")]
        infinite = ~np.isfinite(losses).all(axis=0) & (died_at == ALIVE)
        return np.where(infinite, self.outcome("updates"), died_at)


STATE = "died_at", "ended", "updates"
"""What the engine gives beside quantities: how far each cell is."""


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
    died_at = measured.died_at()
    dead = died_at != ALIVE
    if verdicts is None:
        verdicts = np.full(len(cells), UNFINISHED)
    outcome = {"verdict": verdicts, "died_at": died_at, "run": np.full(len(cells), run)}
    columns: Columns = {
        name: ((), outcome[name].astype(kind), attrs) for name, (kind, _, attrs) in OUTCOME.items()
    }
    columns |= _reported([study.given(cell) for cell in cells], np.zeros_like(dead))
    is_past = past(study, cells, measured)
    is_kept = _recorded(study, cells, measured.steps).any(axis=0)

    def history(name: str) -> np.ndarray:
        values = stack([np.asarray(values[name], np.float32) for values in measured.values])
        values = np.moveaxis(values, 0, 1).copy()
        values[~is_past] = np.nan
        return values[:, is_kept]

    for name, values in measured.now().items():
        attrs = {"long_name": name.replace("_", " ")}
        columns[name] = (), _blanked(_signed(np.array(values)), dead), attrs
        if name in measured.values[0]:
            columns[f"history_{name}"] = (STEP,), history(name), attrs
    for name, dims in study.traces.items():
        attrs = {"long_name": f"{name.replace('_', ' ')} along training"}
        columns[f"history_{name}"] = (STEP, *dims), _trimmed(history(name)), attrs
    if study.ends:
        columns |= _stopped(study, measured)
    columns |= _reported(reports, dead)
    return _dataset(study, cells, columns, np.array(measured.steps)[is_kept].tolist())


def past(study: Study, cells: Sequence[Any], measured: Measured) -> np.ndarray:
    """(cells, steps) which of the steps so far a cell records and has lived to see."""
    lived = np.array(measured.steps) <= measured.outcome("updates")[:, None]
    return _recorded(study, cells, measured.steps) & lived


def histories(
    study: Study, cells: Sequence[Any], measured: Measured
) -> list[dict[str, np.ndarray]]:
    """The history of each cell as its study sees it: `step`, and quantities at these steps.

    The last entry is the end of its training, where that is not at a recorded step either.
    """
    steps, updates = np.array(measured.steps), measured.outcome("updates")
    now = measured.now()
    names = [name for name in now if name in measured.values[0]]
    values = {name: np.array([v[name] for v in measured.values]) for name in names}
    seen = []
    for i, own in enumerate(past(study, cells, measured)):
        history = {STEP: steps[own]} | {name: values[name][own, i] for name in names}
        if updates[i] not in history[STEP]:
            history = {
                name: np.append(column, updates[i] if name == STEP else now[name][i])
                for name, column in history.items()
            }
        seen.append(history)
    return seen


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
    hints = get_type_hints(study.Cell)
    names = [str(name) for name in table.coords if name != STEP]
    if unknown := set(names) - set(study.cell_fields()):
        raise ValueError(f"numbers that the study does not have: {', '.join(sorted(unknown))}")
    columns = [[hints[name](value) for value in table[name].values.tolist()] for name in names]
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
    return np.nan if np.issubdtype(dtype, np.floating) else -1


def stack(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of unequal shape; what a cell lacks is missing."""
    shape = tuple(np.max([cell.shape for cell in cells], axis=0).astype(int).tolist())
    return np.stack([_padded(cell, shape) for cell in cells]).astype(cells[0].dtype, copy=False)


def _recorded(study: Study, cells: Sequence[Any], steps: Sequence[int]) -> np.ndarray:
    """(cells, steps) at which steps each cell records its history."""
    rows: dict[tuple[int, ...], np.ndarray] = {}
    own = [study.recorded(cell) for cell in cells]
    for recorded in own:
        if recorded not in rows:
            rows[recorded] = np.isin(steps, recorded)
    return np.array([rows[recorded] for recorded in own])


def _stopped(study: Study, measured: Measured) -> Columns:
    """Which rule of the study stopped a cell, and how many updates it has done."""
    words = " ".join(reason.replace(" ", "_") for reason in study.ends)
    reasons = {
        "long_name": "rule that stopped it; -1: none",
        "flag_values": list(range(len(study.ends))),
        "flag_meanings": words,
    }
    return {
        "ended": ((), measured.outcome("ended").astype(np.int8), reasons),
        "updates": (
            (),
            measured.outcome("updates").astype(np.int32),
            {"long_name": "updates done"},
        ),
    }


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
