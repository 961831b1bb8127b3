"""Figures by the names under which users know them.

`plane`, `curves` and `history` draw a result of any study; a study's own figure of that name takes
their place where it applies. The others are of the study double_descent; of a result of another
study each raises a UserError that names the figures it has.

Example:
    import superpos_jax as sp
    result = sp.load("results/quickstart")
    sp.plots.plane(result).savefig("plane.png")
    sp.plots.dark(sp.plots.plane(result))  # on a dark page
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import pandas as pd
from matplotlib.figure import Figure

from superpos_jax.drawing import curves as any_curves
from superpos_jax.drawing.choose import figure, table
from superpos_jax.drawing.dark import dark
from superpos_jax.drawing.spec import FigureSpec, draw, save
from superpos_jax.results.result import Result
from superpos_jax.studies.double_descent import figures as own

__all__ = [
    "FigureSpec",
    "circles",
    "circles_table",
    "conventions",
    "conventions_table",
    "curves",
    "curves_table",
    "dark",
    "dimensions",
    "dimensions_table",
    "draw",
    "history",
    "history_table",
    "near_misses",
    "near_misses_table",
    "norms",
    "norms_table",
    "onset",
    "onset_table",
    "optima",
    "optima_table",
    "plane",
    "plane_table",
    "regimes",
    "regimes_table",
    "repeats",
    "repeats_table",
    "save",
    "t_sweep",
    "t_sweep_table",
    "variants",
    "variants_table",
    "vectors",
    "vectors_table",
]


def plane(result: Result, **select: Any) -> Figure:
    """Heat map over two swept axes: the study's own, or any number over any two axes.

    Arguments:
        result: of any study.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that restrict
            an axis; for the generic map also `value`, `x` and `y`, as `drawing.plane.plane` has
            them.

    Returns a Figure. Raises ValueError where two axes are not swept.

    Example:
        plane(result, lr=3e-3).savefig("plane.png")
    """
    return figure(result, "plane", **select)


def history(result: Result, **select: Any) -> Figure:
    """What was recorded along training: the study's own figure, or losses and other numbers.

    Arguments:
        result: of any study.
        select: as of `plane`; for the generic figure also `value` and `by`, as
            `drawing.history.history` has them.

    Returns a Figure. Raises ValueError where nothing was recorded.

    Example:
        history(result, seed=1).savefig("history.png")
    """
    return figure(result, "history", **select)


def plane_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `plane`; its arguments."""
    return table(result, "plane", **select)


def history_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `history`; its arguments."""
    return table(result, "history", **select)


Function = TypeVar("Function", bound=Callable[..., Any])


def _named(function: Function) -> Function:
    """A figure or a table that refuses a result whose study has none of this name."""
    name = function.__name__.removesuffix("_table")
    make = figure if name == function.__name__ else table

    @wraps(function)
    def of_its_study(result: Result, *args: Any, **select: Any) -> Any:
        return make(result, name, *args, **select)

    return cast(Function, of_its_study)


curves, curves_table = _named(any_curves.curves), _named(any_curves.curves_table)
circles, circles_table = _named(own.circles), _named(own.circles_table)
conventions, conventions_table = _named(own.conventions), _named(own.conventions_table)
dimensions, dimensions_table = _named(own.dimensions), _named(own.dimensions_table)
near_misses, near_misses_table = _named(own.near_misses), _named(own.near_misses_table)
norms, norms_table = _named(own.norms), _named(own.norms_table)
onset, onset_table = _named(own.onset), _named(own.onset_table)
optima, optima_table = _named(own.optima), _named(own.optima_table)
regimes, regimes_table = _named(own.regimes), _named(own.regimes_table)
repeats, repeats_table = _named(own.repeats), _named(own.repeats_table)
t_sweep, t_sweep_table = _named(own.t_sweep), _named(own.t_sweep_table)
variants, variants_table = _named(own.variants), _named(own.variants_table)
vectors, vectors_table = _named(own.vectors), _named(own.vectors_table)
