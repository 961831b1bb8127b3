"""What statements measure of a result: numbers over its seeds. A seed that never comes is infinite.

Each takes a dataset of the cells that a statement is about. A seed that died never generalized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

Statistic = Callable[[xr.Dataset], float]
INF = float("inf")


def middle(name: str) -> Statistic:
    """The median of a number."""
    return lambda cells: float(cells[name].median())


def largest(name: str) -> Statistic:
    """The largest median over seeds of a number."""
    return lambda cells: float(cells[name].median("seed").max())


def reach(name: str = "t_gen") -> Statistic:
    """Share of the cells that come to a first time."""
    return lambda cells: float(cells[name].notnull().mean())


def first(name: str = "t_gen") -> Statistic:
    """Median of a first time, never being infinite.

    >>> first()(xr.Dataset({"t_gen": ("seed", [100.0, np.nan, 300.0])}))
    300.0
    """
    return lambda cells: float(cells[name].fillna(INF).median())


def at(statistic: Statistic, **where: Any) -> Statistic:
    """A statistic of the cells with some values of axes."""
    return lambda cells: statistic(cells.sel(where))


def difference(one: Statistic, other: Statistic) -> Statistic:
    """One less the other."""
    return lambda cells: one(cells) - other(cells)


def quotient(one: Statistic, other: Statistic) -> Statistic:
    """One over the other; NaN where both are infinite."""
    return lambda cells: float(np.float64(one(cells)) / np.float64(other(cells)))


def in_order(name: str, axis: str, values: tuple[Any, ...]) -> Statistic:
    """Share of neighbours along an axis whose medians of a first time rise; never is last.

    >>> cells = xr.Dataset({"t": (("arm", "seed"), [[1.0], [3.0], [2.0]])}, {"arm": list("abc")})
    >>> in_order("t", "arm", ("a", "b", "c"))(cells)
    0.5
    """

    def of(cells: xr.Dataset) -> float:
        medians = cells[name].fillna(INF).median("seed").sel({axis: list(values)}).values
        rises = medians[1:] > medians[:-1]
        return float(rises.mean())

    return of


def fastest(**where: Any) -> Statistic:
    """The smallest median over seeds of the step of generalization, of all learning settings."""

    def of(cells: xr.Dataset) -> float:
        return float(cells.sel(where)["t_gen"].fillna(INF).median("seed").min())

    return of


def recorded(name: str, step: int, summary: str = "median") -> Statistic:
    """The median over all cells of a number at a recorded step, or another summary of them.

    >>> history = ("seed", "step"), [[0.1, 0.2], [0.3, 0.6]]
    >>> cells = xr.Dataset({"history_loss": history}, {"step": [10, 20]})
    >>> recorded("loss", 20)(cells), recorded("loss", 20, "max")(cells)
    (0.4, 0.6)
    """
    return lambda cells: float(getattr(cells[f"history_{name}"].sel(step=step), summary)())


def with_records(statistic: Statistic, of: str, least: float, until: int) -> Statistic:
    """A statistic that finds the variable `first`: the first record of a number that is `least`.

    Records after the step `until` are not looked at. NaN where none is.
    """

    def statistic_of(cells: xr.Dataset) -> float:
        history = cells[f"history_{of}"].sel(step=slice(None, until))
        return statistic(cells.assign(first=history["step"].where(history >= least).min("step")))

    return statistic_of


def grown(name: str, since: int, until: int | None = None) -> Statistic:
    """Median over seeds of a number at the end over that at the first record from a step on."""

    def of(cells: xr.Dataset) -> float:
        history = cells[f"history_{name}"].sel(step=slice(since, until))
        return float((history.isel(step=-1) / history.isel(step=0)).median())

    return of


def lead(names: Mapping[str, str], of: str) -> Statistic:
    """By how much the median of one number is above the largest of the others'."""

    def statistic(cells: xr.Dataset) -> float:
        medians = {key: float(cells[name].median()) for key, name in names.items()}
        own = medians.pop(of)
        return own - max(medians.values())

    return statistic
