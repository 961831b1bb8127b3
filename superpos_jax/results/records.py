"""What is known of each cell, and the labelled arrays made of it.

A *record* belongs to one cell and nothing else: it says how the training of the cell ended and
holds what was measured. Arrays over a grid are built from records and taken apart into records
again, so a plane that grows, shrinks or is still training is the same thing: a grid, and some
records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from superpos_jax.engine.study import Study, Variable
from superpos_jax.engine.verdicts import ALIVE, DIVERGED, FINISHED, NON_FINITE, UNFINISHED, VERDICTS

if TYPE_CHECKING:
    from superpos_jax.results.grid import Grid
    from superpos_jax.results.sweep import Sweep

FORMAT = 2
DIVERGED_FACTOR = 2.0
"""A cell has diverged if its training loss ends above that many times its value at step 0."""

RETRY = "retry_"
"""Prefix of the arrays that hold what a cell was trained with instead of the sweep's value."""

Record = Mapping[str, Variable]


@dataclass(frozen=True)
class Measured:
    """Losses and summaries of some cells at the recorded steps, as the engine gives them."""

    steps: list[int] = field(default_factory=list)
    values: list[dict[str, np.ndarray]] = field(default_factory=list)
    """One entry a step: name -> (cells,), or (cells, ...) of what the study traces."""

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Add what was measured at a step."""
        self.steps.append(step)
        self.values.append(values)


def make_records(
    study: Study,
    cells: Sequence[Any],
    measured: Measured,
    reports: Sequence[Record] | None,
    run: int,
    retried: Mapping[str, float] = {},
) -> list[Record]:
    """Records of cells that are training, or of finished ones where there are `reports`.

    Args:
        study: of these cells.
        cells: as they were trained.
        measured: at the steps so far; the last entry is the present.
        reports: `Study.report` of each cell.
        run: which of the runs in the provenance trains them.
        retried: values that differ from the sweep's.
    """
    now = measured.values[-1]
    losses = [values for name, values in now.items() if name.endswith("_loss")]
    infinite = ~np.isfinite(losses).all(axis=0) & (now["died_at"] == ALIVE)
    died_at = np.where(infinite, now["updates"], now["died_at"])  # in its very last update
    start, end = measured.values[0]["train_loss"], now["train_loss"]
    names = [name for name in now if name not in ("died_at", "updates", *study.traces)]

    def past(name: str, i: int) -> np.ndarray:
        """What was measured of a cell, at the steps of its own history; nothing after its death."""
        values = stack([np.asarray(values[name][i], np.float32) for values in measured.values])
        values[np.array(measured.steps) > now["updates"][i]] = np.nan
        return _at(study.recorded(cells[i]), measured.steps, values)

    found: list[Record] = []
    for i in range(len(cells)):
        dead = died_at[i] != ALIVE
        if reports is None:
            verdict = UNFINISHED
        elif dead:
            verdict = NON_FINITE
        else:
            verdict = DIVERGED if end[i] > DIVERGED_FACTOR * start[i] else FINISHED
        record = _outcome(verdict, int(died_at[i]), run)
        record |= {
            RETRY + name: Variable((), np.float64(value), {"long_name": f"{name} when retried"})
            for name, value in retried.items()
        }
        record |= study.given(cells[i])
        for name in names:
            attrs = {"long_name": name.replace("_", " ")}
            value = np.asarray(now[name][i])
            record[name] = _value(Variable((), value, attrs), dead)
            record[f"history_{name}"] = Variable(("step",), past(name, i), attrs)
        for name, dims in study.traces.items():
            attrs = {"long_name": f"{name.replace('_', ' ')} along training"}
            record[f"history_{name}"] = Variable(("step", *dims), _trimmed(past(name, i)), attrs)
        if reports is not None:
            record |= {name: _value(value, dead) for name, value in reports[i].items()}
        found.append(record)
    return found


def build(
    sweep: Sweep, grid: Grid, records: Mapping[Any, Record], provenance: Sequence[Any]
) -> xr.Dataset:
    """One labelled array per quantity, over the axes of the grid; missing where a cell has none.

    Args:
        sweep: noted in the attributes.
        grid: gives axes and cells; may hold more values than the sweep.
        records: by cell of the grid.
        provenance: the runs that trained the cells, in order of time.
    """
    axes = tuple(grid.axes)
    steps = sorted({step for cell in grid.cells for step in _own_steps(grid.study, cell, records)})
    first: dict[str, Variable] = {**_outcome(UNFINISHED, ALIVE, -1)}
    for record in records.values():
        first = {**record, **first}
    stacks = {}
    for name, example in first.items():
        blank = Variable(example.dims, _blank(name, np.asarray(example.values)), {})
        values = []
        for cell in grid.cells:
            value = np.asarray(records.get(cell, {}).get(name, blank).values)
            if example.dims[:1] == ("step",):
                value = _at(steps, _own_steps(grid.study, cell, records), value)
            values.append(value)
        stacks[name] = stack(values)
    widest: dict[str, int] = {}
    for name, array in stacks.items():
        for dim, size in zip(first[name].dims, array.shape[1:], strict=True):
            widest[dim] = max(size, widest.get(dim, 0))
    variables = {}
    for name, array in stacks.items():
        dims = first[name].dims
        # Cells that are training have a history of arrays that nobody reports yet.
        array = _padded(array, (len(array), *(widest[dim] for dim in dims)))
        array = array.reshape((*grid.shape, *array.shape[1:]))
        variables[name] = ((*axes, *dims), array, dict(first[name].attrs))
    fixed = {k: v for k, v in asdict(grid.cells[0]).items() if k not in axes}
    *earlier, latest = provenance or [{}]
    attrs = {
        "format": FORMAT,
        "name": sweep.name,
        "study": sweep.study,
        "sweep": sweep.model_dump_json(),
        "cell": json.dumps(fixed),
        "options": grid.study.options.model_dump_json(),
        "provenance": json.dumps(latest | ({"earlier": earlier} if earlier else {})),
        "conventions": (grid.study.__doc__ or "").strip(),
    }
    coordinates = {axis: np.asarray(values) for axis, values in grid.axes.items()}
    return xr.Dataset(variables, {**coordinates, "step": np.asarray(steps, np.int64)}, attrs)


def take_apart(dataset: xr.Dataset, grid: Grid) -> dict[Any, Record]:
    """The records that `build` made a dataset of, by cell.

    Of cells that are training, too; none for one that no run has begun.

    Args:
        dataset: over the axes of `grid`.
        grid: as in `build`.
    """
    axes = len(grid.axes)
    arrays = {str(name): array for name, array in dataset.data_vars.items()}
    flat = {n: a.values.reshape((len(grid.cells), *a.shape[axes:])) for n, a in arrays.items()}
    steps = dataset["step"].values.tolist()
    found: dict[Any, Record] = {}
    for i in np.flatnonzero((flat["verdict"] != UNFINISHED) | (flat["run"] >= 0)).tolist():
        cell = grid.cells[i]
        record = {
            name: Variable(tuple(map(str, array.dims[axes:])), flat[name][i], array.attrs)
            for name, array in arrays.items()
        }
        own = _own_steps(grid.study, cell, {cell: record})
        for name, (dims, values, attrs, _) in record.items():
            if dims[:1] == ("step",):
                record[name] = Variable(dims, _at(own, steps, values), attrs)
        found[cell] = record
    return found


def provenance(dataset: xr.Dataset) -> list[Any]:
    """The runs that trained the cells of a dataset, in order of time."""
    latest = json.loads(dataset.attrs["provenance"])
    return [run for run in (*latest.pop("earlier", []), latest) if run]


def as_trained(cell: Any, record: Mapping[str, Any]) -> Any:
    """The cell with the values it was trained with, which a retry may have changed."""
    changed = {}
    for known in fields(cell):
        value = record.get(RETRY + known.name)
        if value is not None and not np.isnan(value.values):
            own = type(getattr(cell, known.name))
            changed[known.name] = own(np.asarray(value.values).item())
    return replace(cell, **changed)


def verdict(record: Record | None) -> int:
    """How the training of a cell ended: an index into `VERDICTS`."""
    return UNFINISHED if record is None else int(record["verdict"].values)


def _outcome(verdict: int, died_at: int, run: int) -> dict[str, Variable]:
    flags = {"flag_values": list(range(len(VERDICTS))), "flag_meanings": " ".join(VERDICTS)}
    return {
        "verdict": Variable((), np.int8(verdict), flags),
        "died_at": Variable((), np.int32(died_at), {"long_name": "step of death; -1: alive"}),
        "run": Variable((), np.int16(run), {"long_name": "run that trained it; -1: none"}),
    }


def _own_steps(study: Study, cell: Any, records: Mapping[Any, Record]) -> tuple[int, ...]:
    return study.recorded(as_trained(cell, records.get(cell, {})))


def _at(wanted: Sequence[int], steps: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Values known at `steps`, at the wanted steps; missing where they are not known."""
    known = dict(zip(steps, values, strict=False))
    blank = np.full(values.shape[1:], missing(values.dtype), values.dtype)
    return np.array([known.get(step, blank) for step in wanted], values.dtype)


def _trimmed(values: np.ndarray) -> np.ndarray:
    """A history (steps, ...) without the padding behind it, which other cells needed."""
    known = np.isfinite(values)
    lengths = (
        np.flatnonzero(known.any(axis=tuple({*range(values.ndim)} - {axis})))
        for axis in range(1, values.ndim)
    )
    return values[(slice(None), *(slice(int(at.max(initial=-1)) + 1) for at in lengths))]


def _value(variable: Variable, dead: bool) -> Variable:
    """A quantity, blank for a dead cell, in a type that can be blank."""
    values = np.asarray(variable.values)
    if values.dtype.kind in "bu":
        values = values.astype(np.int64 if values.dtype.kind == "u" else np.int8)
    if dead and not variable.of_dead:
        values = np.full_like(values, missing(values.dtype))
    return variable._replace(values=values)


def _blank(name: str, example: np.ndarray) -> np.ndarray:
    """What an array holds for a cell without a record."""
    if name == "verdict":
        return np.asarray(UNFINISHED, example.dtype)
    shape = (0,) * example.ndim
    return np.full(shape, missing(example.dtype), example.dtype)


def missing(dtype: np.dtype[Any]) -> float:
    """What stands for a number that is not there, in an array of a type."""
    return np.nan if np.issubdtype(dtype, np.floating) else -1


def stack(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of unequal shape; what a cell lacks is missing."""
    shape = np.max([cell.shape for cell in cells], axis=0).astype(int)
    padded = [_padded(cell, tuple(shape)) for cell in cells]
    return np.stack(padded).astype(cells[0].dtype, copy=False)


def _padded(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values in the corner of an array of that shape; the rest is missing."""
    if values.shape == shape:
        return values
    padded = np.full(shape, missing(values.dtype), values.dtype)
    padded[tuple(map(slice, values.shape))] = values
    return padded


def ended_as(dataset: xr.Dataset, *verdicts: int) -> Iterator[dict[str, Any]]:
    """Axes' values, verdict and step of death of the cells with one of these verdicts."""
    found = dataset["verdict"]
    for index in np.argwhere(np.isin(found.values, verdicts)):
        at = dict(zip(found.dims, index.tolist(), strict=True))
        point = {str(dim): found[dim].values[i].item() for dim, i in at.items()}
        died = int(dataset["died_at"][at])
        yield point | {"verdict": VERDICTS[int(found[at])], "step": died if died >= 0 else ""}
