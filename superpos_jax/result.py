"""Results: one labelled array per quantity, one dimension per swept axis."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from superpos_jax.errors import UserError

if TYPE_CHECKING:
    from superpos_jax.study import Variable
    from superpos_jax.sweep import Grid, Sweep

STORE = "result.zarr"
FORMAT = 1
VERDICTS = ("finished", "non-finite")


class Result:
    """A trained sweep.

    Attributes:
        dataset: `xarray.Dataset`, dimensions named as the swept axes.
        name: name of the sweep.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3, 5], seed=range(2)), cell=dict(steps=20, S=0.9), options=dict(n=50)
    ... ))
    >>> dict(result.dataset.test_loss.sizes)
    {'T': 2, 'seed': 2}
    >>> result.cell(T=3, seed=1).X.shape
    (3, 50)
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return str(self.dataset.attrs["name"])

    @property
    def sweep(self) -> Sweep:
        """The sweep that made this result."""
        from superpos_jax.sweep import Sweep

        return Sweep(**json.loads(self.dataset.attrs["sweep"]))

    @property
    def axes(self) -> tuple[str, ...]:
        """The swept axes, in the order of the sweep file."""
        return tuple(str(dim) for dim in self.dataset["verdict"].dims)

    def cell(self, **point: Any) -> Any:
        """One cell as numpy, named by its values of the swept axes; data regenerated from keys.

        For the study double_descent: X (T, n), W (m, n), b (n,), H (T, m), W0 and b0.

        Raises:
            UserError: an axis is missing, unknown, or has no such value.
        """
        self._check(point)
        chosen = self.dataset.sel(point)
        stored = {str(name): chosen[name].values for name in chosen.data_vars}
        grid = self.sweep.grid()
        return grid.study.inspect(grid.cell(**point), stored)

    def dead(self) -> list[dict[str, Any]]:
        """The cells that died: their axes' values, verdict and step of death."""
        verdict = self.dataset["verdict"]
        rows = []
        for index in np.argwhere(verdict.values != 0):
            at = dict(zip(verdict.dims, index.tolist(), strict=True))
            point = {str(dim): verdict[dim].values[i].item() for dim, i in at.items()}
            reason = VERDICTS[int(verdict[at])]
            rows.append(point | {"verdict": reason, "step": int(self.dataset["died_at"][at])})
        return rows

    def save(self, folder: str | Path) -> Path:
        """Write `result.zarr` in a folder; readers see the old store or the whole new one."""
        store = Path(folder) / STORE
        new, old = store.with_suffix(".new"), store.with_suffix(".old")
        for left_over in (new, old):
            shutil.rmtree(left_over, ignore_errors=True)
        self.dataset.to_zarr(new, mode="w", consolidated=False, zarr_format=3)
        if store.exists():
            store.rename(old)
        new.rename(store)
        shutil.rmtree(old, ignore_errors=True)
        return store

    def _check(self, point: Mapping[str, Any]) -> None:
        axes = self.axes
        if set(point) != set(axes):
            raise UserError(f"cell: give one value for each of {', '.join(axes)}")
        for axis, value in point.items():
            values = self.dataset[axis].values.tolist()
            if value not in values:
                raise UserError(f"cell: {axis}={value!r} was not swept; allowed: {values}")


def load(folder: str | Path) -> Result:
    """Read a result folder.

    Raises:
        UserError: the folder holds no readable result.
    """
    store = Path(folder) / STORE
    if not store.is_dir():
        raise UserError(f"{folder}: no result here; expected a folder that holds {STORE}")
    try:
        dataset = xr.open_zarr(store, consolidated=False).load()
        version = int(dataset.attrs["format"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{store}: not a readable result ({error})") from None
    if version > FORMAT:
        raise UserError(f"{store}: written by a newer version (format {version}); this is {FORMAT}")
    return Result(dataset)


def build(
    sweep: Sweep,
    grid: Grid,
    final: Mapping[str, np.ndarray],
    history: Mapping[str, np.ndarray],
    steps: Sequence[int],
    reports: Sequence[Mapping[str, Variable]],
    provenance: Mapping[str, Any],
) -> Result:
    """Label what training brought back.

    Args:
        sweep: the sweep.
        grid: its cells.
        final: (cells,) per quantity at the end, with `died_at` and `updates`.
        history: (cells, len(steps)) per quantity.
        steps: the steps of the history.
        reports: what the study reports of each cell.
        provenance: how the result was made.
    """
    died_at, losses = final["died_at"], [v for k, v in final.items() if k.endswith("_loss")]
    last_update = ~np.isfinite(losses).all(axis=0) & (died_at < 0)
    died_at = np.where(last_update, final["updates"], died_at)  # nobody steps on from there
    dead = died_at >= 0
    axes = tuple(grid.axes)

    def over_axes(values: np.ndarray, *dims: str) -> tuple[tuple[str, ...], np.ndarray]:
        return (*axes, *dims), values.reshape((*grid.shape, *values.shape[1:]))

    variables: dict[str, Any] = {}
    for name, values in final.items():
        if name not in ("died_at", "updates"):
            variables[name] = (*over_axes(np.where(dead, np.nan, values)), _describe(name))
    for name, values in history.items():
        past_end = np.asarray(steps)[None] > final["updates"][:, None]
        values = np.where(past_end, np.nan, values)
        variables[f"history_{name}"] = (*over_axes(values, "step"), _describe(name))
    for name, first in reports[0].items():
        cells = [_value(report[name], lost) for report, lost in zip(reports, dead, strict=True)]
        variables[name] = (*over_axes(_stack(cells), *first.dims), dict(first.attrs))
    verdict = dead.astype(np.int8)
    flags = {"flag_values": [0, 1], "flag_meanings": " ".join(VERDICTS)}
    variables["verdict"] = (*over_axes(verdict), flags)
    variables["died_at"] = (*over_axes(died_at), {"long_name": "step of death; -1: alive"})

    fixed = {k: v for k, v in asdict(grid.cells[0]).items() if k not in axes}
    attrs = {
        "format": FORMAT,
        "name": sweep.name,
        "study": sweep.study,
        "sweep": sweep.model_dump_json(),
        "cell": json.dumps(fixed),
        "options": grid.study.options.model_dump_json(),
        "provenance": json.dumps(provenance),
        "conventions": (grid.study.__doc__ or "").strip(),
    }
    coordinates = {axis: np.asarray(values) for axis, values in grid.axes.items()}
    return Result(xr.Dataset(variables, {**coordinates, "step": np.asarray(steps)}, attrs))


def _describe(name: str) -> dict[str, str]:
    return {"long_name": name.replace("_", " ")}


def _value(variable: Variable, dead: bool) -> np.ndarray:
    """The value of a quantity, blank for a dead cell, in a type that can be blank."""
    values = np.asarray(variable.values)
    if values.dtype.kind in "bu":
        values = values.astype(np.int64 if values.dtype.kind == "u" else np.int8)
    blank = dead and not variable.of_dead
    return np.full_like(values, _missing(values.dtype)) if blank else values


def _missing(dtype: np.dtype[Any]) -> float:
    return np.nan if np.issubdtype(dtype, np.floating) else -1


def _stack(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays of unequal shape; what a cell lacks is missing."""
    shape = np.max([cell.shape for cell in cells], axis=0).astype(int)
    stacked = np.full((len(cells), *shape), _missing(cells[0].dtype), cells[0].dtype)
    for i, cell in enumerate(cells):
        index: tuple[Any, ...] = (i, *map(slice, cell.shape))
        stacked[index] = cell
    return stacked
