"""A heat map of any number over any two swept axes."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from superpos_jax.drawing import scalars, scales
from superpos_jax.drawing import style as look
from superpos_jax.drawing.heatmap import edges, marks, numbers
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.text import counted, seed_axes, written

NEEDS = Needs(several=2)


def applies(dataset: xr.Dataset) -> str | None:
    """None if two axes are swept and a number is measured, else why not."""
    if lack := missing(dataset, "plane", (), NEEDS):
        return lack
    if not scalars.scalars(dataset):
        return "plane needs a number per cell, and nothing is measured yet"
    return None


def plane_table(
    result: Result,
    value: str | None = None,
    x: str | None = None,
    y: str | None = None,
    **select: Any,
) -> pd.DataFrame:
    """The numbers of `plane`: one row per cell of the map, seeds summarised.

    Columns: the two axes, runs, died, unfinished (their numbers are those so far), the number that
    is shown (the mean over surviving seeds, NaN where none), median, min, q25, q75, max, and the
    value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset = result.dataset
    value = scalars.chosen(dataset, value)
    x, y = _axes(dataset, x, y, select)
    pool = tuple(axis for axis in seed_axes(axes_of(dataset)) if axis not in (x, y))
    part, taken = narrow(dataset, (y, x), select, pool=pool)
    frame = scalars.summary(part, value, (y, x)).rename(columns={"mean": value})
    frame = tidy(result, frame, taken)
    names = {name: scalars.name_of(dataset, name) for name in (x, y, value)}
    texts = {axis: scalars.named_values(dataset, axis, part[axis].values) for axis in (x, y)}
    frame.attrs |= {"x": x, "y": y, "value": value, "names": names, "texts": texts}
    frame.attrs["only"] = scalars.only(dataset, part, taken)
    return frame


def _axes(
    dataset: xr.Dataset, x: str | None, y: str | None, select: dict[str, Any]
) -> tuple[str, str]:
    """The two axes: the named ones, else the first of `scalars.shown_axes`."""
    swept = axes_of(dataset)
    scalars.refuse_unknown(dataset, (x, y), select, "value", "x", "y")
    several = [axis for axis in scalars.shown_axes(dataset, select) if axis not in (x, y)]
    spare = [*several, *(axis for axis in swept if axis not in (*several, x, y))]
    across = spare.pop(0) if x is None else x
    upward = spare.pop(0) if y is None else y
    if across == upward:
        raise ValueError(f"x and y are both {x}; choose two axes")
    return across, upward


def plane(
    result: Result,
    value: str | None = None,
    x: str | None = None,
    y: str | None = None,
    **select: Any,
) -> Figure:
    """Heat map of a number over two swept axes, the mean over seeds.

    Axes and colours are logarithmic where values are positive and span more than a decade, axes of
    geometric values (2, 4, 8) too; values with names have a place each. Grey cells died, hatched
    ones are not trained to their end.

    Arguments:
        result: of any study; it sweeps two axes.
        value: the number, e.g. "train_loss"; the test loss by default, else the first loss.
        x, y: the axes; by default the two of most values: numbers, else names, else seeds.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict an axis.

    Returns a Figure. Raises ValueError for an unknown number, axis or value.

    Example:
        plane(result, "test_accuracy", x="lr", y="width").savefig("plane.png")
    """
    return _draw(plane_table(result, value, x, y, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    names, texts, value = (table.attrs[key] for key in ("names", "texts", "value"))
    grids = {column: _grid(table, column) for column in (value, "died", "unfinished")}
    mean = grids[value].astype(float)
    width = float(np.clip(2.4 + 0.5 * mean.shape[1], 6.8, 11.5))
    body = float(np.clip(1.0 + 0.42 * mean.shape[0], 3.2, 7.0))
    title = f"{names[value].capitalize()} over {names[table.attrs['x']]} and"
    title += f" {names[table.attrs['y']]}"
    key = "top" if table[["died", "unfinished"]].any(axis=None) else ""
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key)
    axes = figure.add_subplot()
    look.dress(axes)
    cells = []
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        held = scalars.distinct(table, table.attrs[name])
        place, log = scalars.positions(held), scalars.has_log_axis(held)
        cells.append(edges(place, log))
        axes.set(**{f"{name}scale": "log" if log else "linear", f"{name}lim": cells[-1][[0, -1]]})
        inches = width - 2.1 if name == "x" else body - 0.75
        are_names = not np.issubdtype(held.dtype, np.number)
        scales.set_ticks(axis, place, texts[table.attrs[name]], inches, are_names)
        axis.set_label_text(names[table.attrs[name]])
    colours, norm = matplotlib.colormaps["viridis"], _norm(mean)
    columns, rows = cells
    mesh = axes.pcolormesh(columns, rows, np.ma.masked_invalid(mean), norm=norm, cmap=colours)
    keys = marks(axes, columns, rows, mean, grids["died"], grids["unfinished"])
    printed = colours(norm(np.ma.masked_invalid(mean)))[..., :3]
    numbers(axes, columns, rows, mean, printed, (width - 2.1, body - 0.75), written)
    if len(np.unique(mean[np.isfinite(mean)])) > 1:
        bar = figure.colorbar(mesh, ax=axes, pad=0.015, fraction=0.06, aspect=24)
        bar.ax.tick_params(labelsize=8.5, length=3, width=0.6, color=look.SOFT)
        bar.outline.set_visible(False)
        bar.set_label(names[value])
    if keys:
        look.page_key(figure, keys)
    return figure


def _grid(table: pd.DataFrame, column: str) -> np.ndarray:
    """A column as (y, x), in the order of the rows."""
    x, y = table.attrs["x"], table.attrs["y"]
    return table[column].to_numpy().reshape(table[y].nunique(), table[x].nunique())


def _norm(mean: np.ndarray) -> Normalize:
    finite = mean[np.isfinite(mean)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if low == high:
        return Normalize(low - 1, high + 1)
    return LogNorm(low, high) if scalars.is_log(finite) else Normalize(low, high)


def _caption(table: pd.DataFrame) -> list[str]:
    names, value = table.attrs["names"], table.attrs["value"]
    seeds = int(table["runs"].max())
    mean = f"the mean over {seeds} seeds" if seeds > 1 else "one seed"
    sentences = [f"Each cell: {names[value]}, {mean}."]
    finite = table[table[value].notna()]
    if died := int(table["died"].sum()):
        sentences.append(f"{counted(died, 'run')} died or diverged: not in the mean.")
    if training := int(table["unfinished"].sum()):
        lost = counted(training, "run")
        sentences.append(f"Hatched: {lost} not trained to the end, the number so far.")
    if len(finite) > 1 and finite[value].nunique() == 1:
        sentences.insert(1, f"All are {written(finite[value].iloc[0])}.")
    elif len(finite) > 1:
        lowest, highest = (
            f"{written(row[value])} at {scalars.point(table, row, 'x', 'y')}"
            for row in (finite.loc[finite[value].idxmin()], finite.loc[finite[value].idxmax()])
        )
        sentences.insert(1, f"Smallest: {lowest}; largest: {highest}.")
    return [*sentences, table.attrs["only"]]


PLANE = FigureSpec(
    "plane", plane_table, _draw, "heat map of a number over two swept axes", applies, NEEDS
)
