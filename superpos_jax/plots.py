"""Figures by the names under which users know them.

`plane`, `curves` and `history` draw a result of any study; a study's own figure of that name takes
their place. The others are of the study double_descent.

Example:
    import superpos_jax as sp
    sp.plots.plane(sp.load("results/quickstart")).savefig("plane.png")
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from superpos_jax.drawing.choose import figure
from superpos_jax.drawing.curves import curves, curves_table
from superpos_jax.drawing.spec import FigureSpec, draw, save
from superpos_jax.results.result import Result
from superpos_jax.studies.double_descent.figures.circles import circles, circles_table
from superpos_jax.studies.double_descent.figures.conventions import conventions, conventions_table
from superpos_jax.studies.double_descent.figures.dimensions import dimensions, dimensions_table
from superpos_jax.studies.double_descent.figures.history import history_table
from superpos_jax.studies.double_descent.figures.near_misses import near_misses, near_misses_table
from superpos_jax.studies.double_descent.figures.norms import norms, norms_table
from superpos_jax.studies.double_descent.figures.onset import onset, onset_table
from superpos_jax.studies.double_descent.figures.optima import optima, optima_table
from superpos_jax.studies.double_descent.figures.plane import plane_table
from superpos_jax.studies.double_descent.figures.regimes import regimes, regimes_table
from superpos_jax.studies.double_descent.figures.repeats import repeats, repeats_table
from superpos_jax.studies.double_descent.figures.t_sweep import t_sweep, t_sweep_table
from superpos_jax.studies.double_descent.figures.variants import variants, variants_table
from superpos_jax.studies.double_descent.figures.vectors import vectors, vectors_table

__all__ = [
    "FigureSpec",
    "circles",
    "circles_table",
    "conventions",
    "conventions_table",
    "curves",
    "curves_table",
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
