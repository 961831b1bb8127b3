"""Any number against any swept axis, a line for each value of a second one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars, scales
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import (
    band,
    crosses,
    drawn,
    line,
    lost_words,
    points,
    seed_key,
    seed_words,
)
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import fewer
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.text import seed_axes, written

RING: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6, "mfc": "none", "mec": look.SOFT}
"""Round a point of which some runs are not trained to their end."""
RING_WIDTH = 240.0
"""Points that the rings of a line take together at most: of many each is smaller."""
LINES = 24
"""At most; of more values of their axis so many are drawn, evenly spaced."""
NEEDS = Needs(several=1)


def applies(dataset: xr.Dataset) -> str | None:
    """None if an axis is swept and a number is measured, else why not."""
    if lack := missing(dataset, "curves", (), NEEDS):
        return lack
    if not scalars.scalars(dataset):
        return "curves needs a number per cell, and nothing is measured yet"
    return None


def curves_table(
    result: Result,
    value: str | None = None,
    x: str | None = None,
    by: str | None = None,
    **select: Any,
) -> pd.DataFrame:
    """The numbers of `curves`: one row per point of a line, seeds summarised.

    Columns: the axis of the lines, if there are several, the axis x, runs, died, unfinished (their
    numbers are those so far), mean, median, min, q25, q75, max over the surviving seeds, quantity
    (the name of the number), and the value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset = result.dataset
    value = scalars.chosen(dataset, value)
    swept, seeds = axes_of(dataset), seed_axes(axes_of(dataset))
    scalars.refuse_unknown(dataset, (x, by), select, "value", "x", "by")
    x = x or next((axis for axis in scalars.shown_axes(dataset, select) if axis != by), swept[0])
    by = by or scalars.line_axis(dataset, select, x)
    if x == by:
        raise ValueError(f"x and by are both {x}; choose two axes")
    keep = (x,) if by is None else (by, x)
    part, taken = narrow(dataset, keep, select, tuple(seed for seed in seeds if seed not in keep))
    part, some = fewer(part, by, LINES, select)
    frame = scalars.summary(part, value, keep).assign(quantity=value)
    frame = tidy(result, frame, taken)
    names = {name: scalars.name_of(dataset, name) for name in (*keep, value)}
    texts = {axis: scalars.named_values(dataset, axis, part[axis].values) for axis in keep}
    frame.attrs |= {"x": x, "by": by, "value": value, "names": names, "texts": texts}
    frame.attrs |= {"only": scalars.only(dataset, part, taken), "some": some}
    return frame


def curves(
    result: Result,
    value: str | None = None,
    x: str | None = None,
    by: str | None = None,
    **select: Any,
) -> Figure:
    """A number against a swept axis, a line for each value of a second one.

    Lines are medians over seeds; bands reach from the smallest to the largest seed, or over the
    middle half of them from 8 seeds on. Of more than 24 values of the axis of the lines, 24 are
    drawn, evenly spaced. An axis is logarithmic where its values are positive and
    span more than a decade, the axis x of geometric values (2, 4, 8) too. Over values with names,
    which have no order, there are points and bars in place of lines and bands.

    Arguments:
        result: of any study; it sweeps an axis.
        value: the number, e.g. "train_loss"; the test loss by default, else the first loss.
        x: the axis below; by default that of most values: of numbers, else of names, else seeds.
        by: the axis of the lines; by default the first of names (arms, choices), else the next one
            of numbers.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict an axis.

    Returns a Figure. Raises ValueError for an unknown number, axis or value.

    Example:
        curves(result, "test_accuracy", x="lr", by="width").savefig("curves.png")
    """
    return _draw(curves_table(result, value, x, by, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    x, by, value, names, texts = (table.attrs[k] for k in ("x", "by", "value", "names", "texts"))
    title = f"{names[value].capitalize()} against {names[x]}"
    title += f", by {names[by]}" if by else ""
    looks = line_looks(scalars.distinct(table, by)) if by else [{"color": look.INK}]
    body = max(3.8, 0.195 * len(looks) + 1.0)
    room, setting = look.side_room(texts[by] if by else []), table.attrs["setting"]
    figure = look.page(6.2 + room, body, title, setting, _caption(table), key="side", room=room)
    axes = figure.add_subplot()
    look.dress(axes, grid="y")
    values = scalars.distinct(table, x)
    place = scalars.positions(values)
    axes.set(xscale="log" if scalars.has_log_axis(values) else "linear", xlabel=names[x])
    axes.set_ylabel(names[value])
    rows = table.assign(place=table[x].map(dict(zip(values.tolist(), place, strict=True))))
    ordered = bool(np.issubdtype(values.dtype, np.number))
    if by and not ordered:
        rows["place"] += rows[by].map(_beside(scalars.distinct(table, by)))
    groups = (
        [rows] if by is None else [rows[rows[by] == held] for held in scalars.distinct(table, by)]
    )
    keys: list[Artist] = [Line2D([], [], ls="none", label=names[by])] if by else []
    for group, how, label in zip(groups, looks, texts[by] if by else [""], strict=True):
        (line if ordered else points)(axes, "place", group, gid=f"line:{label}", **how)
        if by:
            shape = {"lw": 1.5 if ordered else 0, "marker": "o", "ms": 2.8 if ordered else 4}
            keys.append(Line2D([], [], label=label, **{**shape, **how}))
    if scalars.is_log(drawn(table)):
        axes.set_yscale("log")
    scales.set_ticks(axes.xaxis, place, texts[x], 5.2, not ordered)
    crosses(axes, "place", rows)
    keys += unfinished_rings(axes, "place", rows)
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _beside(values: np.ndarray) -> dict[Any, float]:
    """How far from the place of a name its points stand, so that those of no line hide others."""
    shifts = (np.arange(len(values)) - (len(values) - 1) / 2) * 0.6 / len(values)
    return dict(zip(values.tolist(), shifts.tolist(), strict=True))


def line_looks(values: np.ndarray) -> list[dict[str, Any]]:
    """A look for each line: shades for numbers, colours and markers of their own for names."""
    if np.issubdtype(values.dtype, np.number):
        shades = look.shades(len(values)) if len(values) > 1 else [look.INK] * len(values)
        return [{"color": shade} for shade in shades]
    palette, markers = look.PALETTE, "os^Dvp"
    looks: list[dict[str, Any]] = []
    for i in range(len(values)):
        turn, place = divmod(i, len(palette))
        large = {"ms": 4.5} if turn else {}  # or a square is not told from a dot
        looks.append({"color": palette[place], "marker": markers[turn % len(markers)], **large})
    return looks


def unfinished_rings(axes: Axes, x: str, table: pd.DataFrame) -> list[Artist]:
    """Rings round points with runs that are not trained to their end, and their key."""
    rows = table[(table["unfinished"] > 0) & table["median"].notna()]
    if rows.empty:
        return []
    small = {"ms": min(RING["ms"], RING_WIDTH / table[x].nunique())}
    axes.plot(rows[x], rows["median"], gid="unfinished", zorder=4, **{**RING, **small})
    return [Line2D([], [], label="not trained\nto the end", **RING)]


def _caption(table: pd.DataFrame) -> list[str]:
    value, names = table.attrs["value"], table.attrs["names"]
    numeric = np.issubdtype(scalars.distinct(table, table.attrs["x"]).dtype, np.number)
    what = "Lines" if numeric else "Points"
    sentences = [
        seed_words(table, what),
        lost_words(table, "have a ring, at the last recorded step"),
    ]
    finite = table[table["median"].notna()]
    if len(finite) > 1:
        low, high = band(table) or ("median", "median")
        ends = (low, finite.loc[finite[low].idxmin()]), (high, finite.loc[finite[high].idxmax()])
        lowest, highest = (
            f"{written(row[end])} at {scalars.point(table, row, 'x', 'by')}" for end, row in ends
        )
        of = {"min": " of all seeds", "q25": " of the middle half of the seeds"}.get(low, "")
        sentences.append(f"{names[value].capitalize()}{of}: from {lowest} to {highest}.")
    return [*sentences, table.attrs["some"], table.attrs["only"]]


CURVES = FigureSpec(
    "curves",
    curves_table,
    _draw,
    "a number against a swept axis, a line per value of another",
    applies,
    NEEDS,
)
