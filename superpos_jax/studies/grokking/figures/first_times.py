"""First times of every seed: fit, generalization, collapse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.scalars import name_of
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.studies.grokking.figures.along import called, split

TIMES = {"t_fit": "fit", "t_gen": "generalization", "t_sc": "collapse"}
DENSE_BELOW = 100.0
"""Ratio of the ends of an axis below which there are ticks between 1, 2 and 5."""
LOOKS: dict[str, dict[str, Any]] = {
    "t_fit": {"color": look.SOFT, "marker": "|", "ms": 9, "mew": 1.6},
    "t_gen": {"color": look.VERMILLION, "marker": "o", "ms": 4.5},
    "t_sc": {"color": look.BLUE, "marker": "x", "ms": 5, "mew": 1.4},
}


def applies(dataset: xr.Dataset) -> str | None:
    """None if first times were kept, else why not."""
    return missing(dataset, "first_times", (*TIMES, "step"))


def first_times_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `first_times`: one row per seed of a strip.

    Columns: the axes of the strips, run (a number), t_fit, t_gen, t_sc (steps, empty where never),
    died, unfinished, and the values of other swept axes.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    keep = tuple(axis for axis in split(result.dataset, select) if axis)
    dataset, taken = narrow(result.dataset, keep, select)
    columns = {name: runs(dataset[name], keep) for name in TIMES}
    columns |= {"died": failed(dataset, keep), "unfinished": unfinished(dataset, keep)}
    rows = []
    for index in np.ndindex(columns["died"].shape):
        at = {axis: dataset[axis].values[i] for axis, i in zip(keep, index, strict=False)}
        rows.append(at | {"run": index[-1]} | {n: array[index] for n, array in columns.items()})
    table = tidy(result, pd.DataFrame(rows), taken)
    table.attrs["last"] = float(dataset["step"].max())
    table.attrs["keep"] = {axis: name_of(result.dataset, axis) for axis in keep}
    table.attrs["texts"] = {
        axis: called(result.dataset, axis, dataset[axis].values) for axis in keep
    }
    return table


def first_times(result: Result, **select: Any) -> Figure:
    """When each seed fits, generalizes and collapses, a strip for each value of an axis.

    Fit: train accuracy of 0.99. Generalization: test accuracy of 0.95. Collapse: half of the
    training samples, at the precision of the loss. At the right, how many seeds come to each.

    Arguments:
        result: of the study grokking.
        select: values of other swept axes (`lr=1e-2`; the first by default), or lists.

    Returns a Figure. Raises ValueError where no first times were kept.

    Example:
        first_times(result).savefig("first_times.png")
    """
    return _draw(first_times_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    keep = list(table.attrs["keep"])
    strips = list(table.groupby(keep, sort=False)) if keep else [((), table)]
    figure = look.page(
        7.4, 0.36 * len(strips) + 0.9, "First times, one mark per seed",
        table.attrs["setting"], _caption(table), key="top",
    )  # fmt: skip
    axes = figure.subplots()
    look.dress(axes, grid="x")
    steps = table[list(TIMES)].to_numpy(float)
    least = np.nanmin(steps) if np.isfinite(steps).any() else 1.0
    ends = least / 1.5, table.attrs["last"] * 1.1
    axes.set(xscale="log", xlim=ends)
    digits = look.DENSE if ends[1] < DENSE_BELOW * ends[0] else look.ROUND
    look.log_ticks(axes.xaxis, look.round_steps(*ends, digits), 5.0)
    for place, (_, rows) in enumerate(strips):
        for shift, (name, how) in enumerate(LOOKS.items()):
            times = rows[name].dropna()
            heights = place + 0.22 * (shift - 1) + np.linspace(-0.05, 0.05, len(times))
            axes.plot(times, heights, ls="none", alpha=0.85, **how)
        counts = "   ".join(f"{rows[name].notna().sum()}/{len(rows)}" for name in TIMES)
        axes.annotate(
            counts, (1.01, place), xycoords=("axes fraction", "data"), va="center", size=8
        )
        axes.axhline(place + 0.5, color=look.GRID, lw=0.6)
    axes.set_yticks(range(len(strips)), labels=[_strip(table, value) for value, _ in strips])
    axes.set_ylim(len(strips) - 0.5, -0.5)
    axes.set_xlabel("training step")
    keys: list[Artist] = [
        Line2D([], [], ls="none", label=words, **LOOKS[name]) for name, words in TIMES.items()
    ]
    keys.append(Line2D([], [], ls="none", label="right: seeds that come to each, in this order"))
    look.page_key(figure, keys)
    return figure


def _strip(table: pd.DataFrame, values: tuple[Any, ...]) -> str:
    """`perpGrad`, `bits t = 24`: what a strip is."""
    parts = []
    for (axis, name), value in zip(table.attrs["keep"].items(), values, strict=True):
        text = table.attrs["texts"][axis][value]
        parts.append(text if axis == "arm" else f"{name} = {text}")
    return ", ".join(parts)


def _caption(table: pd.DataFrame) -> list[str]:
    died, training = int(table["died"].sum()), int(table["unfinished"].sum())
    return [
        "Fit: train accuracy of 0.99; generalization: test accuracy of 0.95; collapse: half of the"
        " training samples have a softmax sum of 1 at the bits of their loss.",
        f"{died} runs died." if died else "",
        f"{training} runs are not trained to their end." if training else "",
    ]


FIRST_TIMES = FigureSpec(
    "first_times",
    first_times_table,
    _draw,
    "fit, generalization and collapse of each seed",
    applies,
)
