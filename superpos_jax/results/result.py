"""Results: one labelled array per quantity, one dimension per swept axis."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.engine.inspected import Inspected
from superpos_jax.engine.verdicts import (
    DIVERGED,
    FINISHED,
    NON_FINITE,
    NOT_ENDED,
    UNFINISHED,
    VERDICTS,
)
from superpos_jax.errors import UserError
from superpos_jax.results import export, runs
from superpos_jax.results.cells import HISTORY, RETRY, cells_of
from superpos_jax.results.grid import Grid, refuse_point
from superpos_jax.results.registry import labels_of, refuse_unnamed
from superpos_jax.results.store import STORE, read_table, write_table
from superpos_jax.results.summary import contents
from superpos_jax.results.sweep import Sweep
from superpos_jax.results.view import ended_as, from_grid, to_grid
from superpos_jax.text import counted, few, first_line


class Result:
    """A trained sweep, or one that is still training.

    Attributes:
        dataset: `xarray.Dataset`, dimensions named as the swept axes. `verdict` says how each cell
            ended; the losses of an unfinished cell are those so far.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3, 5], seed=range(2)), cell=dict(steps=20, S=0.9), options=dict(n=50)
    ... ))
    >>> dict(result.dataset.test_loss.sizes)
    {'T': 2, 'seed': 2}
    >>> result.cell(T=3, seed=1).X.shape
    (3, 50)
    """

    def __init__(self, dataset: xr.Dataset, grid: Grid | None = None) -> None:
        self.dataset = dataset
        if grid is not None:
            self.grid = grid

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return str(self.dataset.attrs["name"])

    @cached_property
    def sweep(self) -> Sweep:
        """The sweep that made this result."""
        return sweep_of(self.dataset)

    @cached_property
    def grid(self) -> Grid:
        """The grid of the sweep: its study and its cells."""
        return self.sweep.grid()

    @property
    def axes(self) -> tuple[str, ...]:
        """The swept axes, in the order of the sweep file."""
        return runs.axes(self.dataset)

    def cell(self, **point: Any) -> Inspected:
        """One cell as numpy, by one value for each swept axis: `result.cell(T=100, seed=0)`.

        A value may be a name. The study decides what it returns, see its `inspect`: by default the
        cell's arrays of this result. Data sets are regenerated from their keys, not stored.

        Raises:
            UserError: an axis is missing, unknown, or has no such value; the cell is unfinished.
        """
        values = self.at(**point)
        if int(values["verdict"]) == UNFINISHED:
            raise UserError(f"cell: {_words(point)} is not trained yet")
        stored = {str(name): values[name].values for name in values.data_vars}
        return self.grid.study.inspect(self.trained_cell(**point), stored)

    def trained_cell(self, **point: Any) -> Any:
        """The numbers a cell was trained with: the sweep's, or those of its last retry."""
        values = self.at(**point)
        cell = self.grid.cell(**{axis: values[axis].item() for axis in self.grid.axes})
        changes = {
            str(name).removeprefix(RETRY): values[name].item()
            for name in values.data_vars
            if str(name).startswith(RETRY) and not np.isnan(values[name])
        }
        kinds = {name: type(getattr(cell, name)) for name in changes}
        return replace(cell, **{name: kinds[name](value) for name, value in changes.items()})

    def at(self, **point: Any) -> xr.Dataset:
        """The values of one cell, named by its values of the swept axes."""
        labels, chosen = labels_of(self.dataset), {}
        refuse_point(point, self.axes)
        for axis, value in point.items():
            values = self.dataset[axis].values.tolist()
            number = labels.number(axis, value)
            meant = (value, number, labels.shown(axis, number))
            held = (values[values.index(own)] for own in meant if own in values)
            chosen[axis] = next(held, None)  # float32(0.1) equals 0.1, which alone xarray finds
            if chosen[axis] is None:
                raise UserError(f"cell: {axis}={value!r} was not swept; allowed: {values}")
        return self.dataset.sel(chosen)

    def best(self, axis: str, by: str = "train_loss") -> Best:
        """Of several trainings along an axis, the one that has the smallest `by`; see `Best`.

        Raises:
            UserError: the axis was not swept.
        """
        if axis not in self.axes:
            raise UserError(f"best: {axis} was not swept; allowed: {', '.join(self.axes)}")
        numbers = [name for name, v in self.dataset.data_vars.items() if {*v.dims} == {*self.axes}]
        if by not in numbers:
            is_loss = by == "train_loss" and by not in self.dataset
            reason = "no cell has one yet" if is_loss else "it is not a single number per cell"
            raise UserError(
                f"best: by={by!r}: {reason}; allowed: {', '.join(few([*map(str, numbers)]))}"
            )
        return Best(self, axis, by)

    def count(self, verdict: int | str) -> int:
        """How many cells ended so: `count("finished")`, or the number of the verdict, as stored.

        Raises:
            UserError: no cell can end so.
        """
        if verdict not in (*VERDICTS, *range(len(VERDICTS))):
            raise UserError(f"count: {verdict!r}: allowed: {', '.join(VERDICTS)}")
        number = VERDICTS.index(verdict) if isinstance(verdict, str) else verdict
        return int((self.dataset["verdict"] == number).sum())

    def dead(self) -> list[dict[str, Any]]:
        """The cells that became non-finite: their axes' values, verdict and step of death."""
        return list(ended_as(self.dataset, NON_FINITE))

    def diverged(self) -> list[dict[str, Any]]:
        """The cells whose numbers are finite but no result, and why the study says so."""
        rows = list(ended_as(self.dataset, DIVERGED))
        return [row | {"why": self._why({axis: row[axis] for axis in self.axes})} for row in rows]

    def _why(self, point: Mapping[str, Any]) -> str:
        """The reason of a cell that diverged: of a stop rule, or of its history."""
        values, study = self.dataset.sel(point), self.grid.study
        ended = int(values["ended"]) if "ended" in values else NOT_ENDED
        if ended != NOT_ENDED:
            return list(study.ends)[ended]
        history = {
            str(name).removeprefix(HISTORY): array.values
            for name, array in values.data_vars.items()
            if str(name).startswith(HISTORY) and array.dims == ("step",)
        }
        past = np.isfinite(history["train_loss"])
        history = {name: array[past] for name, array in history.items()}
        history["step"] = values["step"].values[past]
        return study.diverged(self.trained_cell(**point), history)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per cell: its values of the swept axes, and every single number of it.

        Codes are words (`verdict`), and so is an axis if all of its values have names.

        >>> import superpos_jax as sp
        >>> result = sp.run(sp.Sweep(
        ...     axes=dict(T=[3, 5], seed=range(2)), cell=dict(steps=20, S=0.9), options=dict(n=50)
        ... ))
        >>> result.to_dataframe()[["T", "seed", "verdict"]].values.tolist()
        [[3, 0, 'finished'], [3, 1, 'finished'], [5, 0, 'finished'], [5, 1, 'finished']]
        """
        return export.frame(self.dataset, self.axes)

    def save(self, folder: str | Path) -> Path:
        """Write `result.zarr` in a folder; readers see the old store or the whole new one.

        Only while no run trains into the folder.

        Raises:
            UserError: the dataset has a coordinate that is not a value of its sweep; or the folder
                holds cells that this result does not show, and would lose them.
        """
        study, path = self.grid.study, Path(folder)
        try:
            table = from_grid(self.dataset, self.grid)
            held = cells_of(read_table(path), study) if (path / STORE).exists() else ()
        except ValueError as error:
            raise UserError(f"{folder}: not stored: {error}") from None
        if lost := {*held} - {*cells_of(table, study)}:
            raise UserError(
                f"{folder}: not stored: it holds {counted(len(lost), 'cell')} that this result does"
                " not show; save to another folder"
            )
        return write_table(table, path)

    def __repr__(self) -> str:
        return f"<superpos_jax.Result {self._summary()}>\n{contents(self.dataset, self.axes)}"

    def _repr_html_(self) -> str:
        """What a notebook shows: a line, and the dataset below it."""
        return f"<p>{html.escape(self._summary())}</p>{self.dataset._repr_html_()}"

    def _summary(self) -> str:
        """`quickstart, 48 cells: 46 finished, 2 non-finite`."""
        numbers = {word: self.count(verdict) for verdict, word in enumerate(VERDICTS)}
        ends = ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number)
        return f"{self.name}, {counted(self.dataset['verdict'].size, 'cell')}: {ends}"


class Best(Result):
    """A result without one of its axes: of the cells along it the one with the smallest loss.

    The paper keeps, of several initialisations on one data set, the one with the lowest training
    loss ("best of several", Henighan et al., 2023). Cells that died or are not trained to their end
    are chosen only where there is no other; of equal ones the first. `dataset[axis]` says which,
    and the attribute `best` that it is one.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3, 5], init_seed=range(3)), cell=dict(steps=20, S=0.9), options=dict(n=50)
    ... ))
    >>> best = result.best("init_seed").dataset
    >>> bool((best.train_loss == result.dataset.train_loss.min("init_seed")).all())
    True
    """

    def __init__(self, whole: Result, axis: str, by: str = "train_loss") -> None:
        fit = whole.dataset["verdict"].isin((FINISHED, DIVERGED))
        loss = whole.dataset[by].where(fit, np.inf).fillna(np.inf)
        several = counted(loss.sizes[axis], labels_of(whole.dataset).axis(axis))
        words = f"of {several} that of lowest {by.replace('_', ' ')}"
        lowest = loss.argmin(axis).compute()  # of dask's arrays as well
        chosen = whole.dataset.isel({axis: lowest}).assign_attrs(best=words)
        super().__init__(chosen)
        self._whole, self._axis = whole, axis

    @cached_property
    def grid(self) -> Grid:
        """The grid of the whole sweep."""
        return self._whole.grid

    def at(self, **point: Any) -> xr.Dataset:
        """The values of one cell, named by its values of the other axes."""
        return self._whole.at(**self._chosen(point))

    def cell(self, **point: Any) -> Inspected:
        """One cell as numpy, named by its values of the other axes."""
        return self._whole.cell(**self._chosen(point))

    def trained_cell(self, **point: Any) -> Any:
        """The numbers a cell was trained with."""
        return self._whole.trained_cell(**self._chosen(point))

    def save(self, folder: str | Path) -> Path:
        """Refused: a store is of whole sweeps."""
        raise UserError(f"{folder}: the best of a result is not stored; save the result itself")

    def _chosen(self, point: dict[str, Any]) -> dict[str, Any]:
        return point | {self._axis: super().at(**point)[self._axis].item()}


def load(folder: str | Path) -> Result:
    """Read a result folder, or an archive (`.zip`): the cells of its sweep, trained or not.

    The module of a study of your own is imported before: a file never makes its code run.

    Raises:
        UserError: the folder holds no readable result.
    """
    table = read_table(Path(folder))
    try:
        grid = sweep_of(table).grid()
        return Result(to_grid(table, grid), grid)
    except UserError as error:
        raise UserError(f"{folder}: not a readable result ({error})") from None
    except Exception as error:  # its parts do not fit together
        raise UserError(f"{folder}: not a readable result ({first_line(error)})") from None


def sweep_of(dataset: xr.Dataset) -> Sweep:
    """The sweep that a store shows, from the attributes of its table or of a result."""
    sweep = Sweep(**json.loads(dataset.attrs["sweep"]))
    refuse_unnamed(sweep.study)
    return sweep


def _words(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis}={value!r}" for axis, value in point.items())
