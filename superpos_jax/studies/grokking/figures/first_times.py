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
from superpos_jax.drawing.scalars import name_of, shown_axes
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import failed, fixed, runs, unfinished
from superpos_jax.studies.grokking.figures.along import called, split, tidy
from superpos_jax.studies.grokking.losses import LOSSES
from superpos_jax.text import counted, seed_axes

TIMES = {"t_fit": "fit", "t_gen": "generalization", "t_sc": "collapse"}
STRIPS = 48
"""At most; of more only two axes are drawn, others at their first value."""
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
    two = tuple(axis for axis in split(result.dataset, select) if axis)
    seeds = seed_axes(axes_of(result.dataset))
    others = (a for a in shown_axes(result.dataset, select) if a not in (*two, *seeds))
    keep = *others, *two
    if len(keep) > len(two) and np.prod([np.size(result.dataset[a]) for a in keep]) > STRIPS:
        keep = two
    dataset, taken = narrow(result.dataset, keep, select)
    columns = {name: runs(dataset[name], keep) for name in TIMES}
    columns |= {"died": failed(dataset, keep), "unfinished": unfinished(dataset, keep)}
    rows = []
    for index in np.ndindex(columns["died"].shape):
        at = {axis: dataset[axis].values[i] for axis, i in zip(keep, index, strict=False)}
        rows.append(at | {"run": index[-1]} | {n: array[index] for n, array in columns.items()})
    table = tidy(result, pd.DataFrame(rows), taken)
    shared = fixed(result.dataset)
    table.attrs["look_every"] = shared.get("look_every")
    table.attrs["softmax"] = shared.get("loss") != LOSSES.index("mse")
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
    times_of = _drawn(table)
    steps = table[list(times_of)].to_numpy(float)
    least = np.nanmin(steps) if np.isfinite(steps).any() else 1.0
    ends = least / 1.5, table.attrs["last"] * 1.1
    axes.set(xscale="log", xlim=ends)
    digits = look.DENSE if ends[1] < DENSE_BELOW * ends[0] else look.ROUND
    look.log_ticks(axes.xaxis, look.round_steps(*ends, digits), 5.0)
    beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "size": 8}
    heads = "   ".join(times_of.values())
    axes.annotate(heads, (1.01, -0.75), annotation_clip=False, **beside | {"size": 7})
    for place, (_, rows) in enumerate(strips):
        for shift, name in enumerate(times_of):
            times = rows[name].dropna()
            heights = place + 0.22 * (shift - 1) + np.linspace(-0.05, 0.05, len(times))
            axes.plot(times, heights, ls="none", alpha=0.85, **LOOKS[name])
        counts = "   ".join(f"{rows[name].notna().sum()}/{len(rows)}" for name in times_of)
        axes.annotate(counts, (1.01, place), **beside)
        axes.axhline(place + 0.5, color=look.GRID, lw=0.6)
    axes.set_yticks(range(len(strips)), labels=[_strip(table, value) for value, _ in strips])
    axes.set_ylim(len(strips) - 0.5, -0.5)
    axes.set_xlabel("training step")
    keys: list[Artist] = [
        Line2D([], [], ls="none", label=TIMES[name], **LOOKS[name]) for name in times_of
    ]
    keys.append(Line2D([], [], ls="none", label="right: how many seeds come to each"))
    look.page_key(figure, keys)
    return figure


def _drawn(table: pd.DataFrame) -> dict[str, str]:
    """The first times that are drawn, and what stands above their counts.

    A squared error has no softmax that could collapse.
    """
    heads = {"t_fit": "fit", "t_gen": "gen.", "t_sc": "coll."}
    return heads if table.attrs["softmax"] else {name: heads[name] for name in ("t_fit", "t_gen")}


def _strip(table: pd.DataFrame, values: tuple[Any, ...]) -> str:
    """`perpGrad`, `bits t = 24`: what a strip is."""
    parts = []
    for (axis, name), value in zip(table.attrs["keep"].items(), values, strict=True):
        text = table.attrs["texts"][axis][value]
        parts.append(text if axis == "arm" else f"{name} = {text}")
    return ", ".join(parts)


def _caption(table: pd.DataFrame) -> list[str]:
    died, training = int(table["died"].sum()), int(table["unfinished"].sum())
    every = table.attrs["look_every"]
    collapse = (
        "; collapse: half of the training samples have a softmax sum of 1 at the bits of their loss"
        if table.attrs["softmax"]
        else ""
    )
    return [
        f"Fit: train accuracy of 0.99; generalization: test accuracy of 0.95{collapse}.",
        f"Looked at every {every} steps." if every and every > 1 else "",
        f"{counted(died, 'run')} died." if died else "",
        f"{counted(training, 'run')} not trained to the end." if training else "",
    ]


FIRST_TIMES = FigureSpec(
    "first_times",
    first_times_table,
    _draw,
    "fit, generalization and collapse of each seed",
    applies,
)
