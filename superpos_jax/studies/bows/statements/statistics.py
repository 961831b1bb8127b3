"""What statements measure of a result: numbers over its seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

Statistic = Callable[[xr.Dataset], float]


def mean(name: str) -> Statistic:
    """The mean over seeds of a number."""
    return lambda cells: float(cells[name].mean())


def quotient(name: str, decay: float, other: float) -> Statistic:
    """Mean of a number at one weight decay over that at another."""

    def statistic(cells: xr.Dataset) -> float:
        values = cells[name].mean("seed")
        return float(values.sel(weight_decay=decay) / values.sel(weight_decay=other))

    return statistic


def difference(name: str, decay: float, other: float) -> Statistic:
    """Mean of a number at one weight decay less that at another."""

    def statistic(cells: xr.Dataset) -> float:
        values = cells[name].mean("seed")
        return float(values.sel(weight_decay=decay) - values.sel(weight_decay=other))

    return statistic


def above(name: str, level: str) -> Statistic:
    """Share of the cells in which one number is above another."""
    return lambda cells: float((cells[name] > cells[level]).where(cells[name].notnull()).mean())


def ratio(name: str, other: str) -> Statistic:
    """Mean over seeds of a number over another."""
    return lambda cells: float((cells[name] / cells[other]).mean())


def less(name: str, other: str) -> Statistic:
    """Mean over seeds of a number less another."""
    return lambda cells: float((cells[name] - cells[other]).mean())


def rising(name: str, axis: str, sign: int = 1) -> Statistic:
    """Share of neighbours along an axis at which the mean over seeds rises; falls, if sign is -1.

    >>> cells = xr.Dataset({"r": (("m", "seed"), [[1.0], [3.0], [2.0]])}, {"m": [1, 2, 3]})
    >>> rising("r", "m")(cells)
    0.5
    """

    def statistic(cells: xr.Dataset) -> float:
        values = cells[name].mean("seed").sortby(axis)
        return float((sign * values.diff(axis) > 0).mean())

    return statistic


def peak(name: str) -> Statistic:
    """The m at which the mean over seeds of a number is largest; NaN at the ends.

    >>> cells = xr.Dataset({"r": (("m", "seed"), [[1.0], [3.0], [2.0]])}, {"m": [1, 2, 3]})
    >>> peak("r")(cells)
    2.0
    """

    def statistic(cells: xr.Dataset) -> float:
        values = cells[name].mean("seed").sortby("m")
        top = int(np.argmax(values.values))
        return float(values["m"][top]) if 0 < top < len(values) - 1 else np.nan

    return statistic


def later(name: str, other: str) -> Statistic:
    """By which factor in m the peak of a number comes after another's; NaN of one without peak."""
    return lambda cells: peak(name)(cells) / peak(other)(cells)
