"""Numbers over the learning rate, seeds pooled: what most figures of the study are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from superpos_jax.drawing import lines, scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.style import SOFT
from superpos_jax.results.registry import labels_of
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import failed, runs
from superpos_jax.text import seed_axes

NEEDS = Needs(swept=("lr",))
UNSTABLE = 0.25
"""A learning rate at which a larger share of the seeds diverges is above the stability limit."""
HOLLOW: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4.4, "mfc": "white", "mew": 1.2}
LIMIT: dict[str, Any] = {"color": SOFT, "lw": 1.0, "ls": (0, (4, 3)), "zorder": 1}


def lacks(dataset: xr.Dataset, figure: str, names: Sequence[str]) -> str | None:
    """Why numbers of a result cannot be drawn over the learning rate, or None."""
    return missing(dataset, figure, ("converged", *names), NEEDS)


def split_axis(dataset: xr.Dataset, choices: Sequence[str] = ()) -> str | None:
    """The axis that a figure is split by: the first choice that is swept, else any other axis."""
    swept = [axis for axis in axes_of(dataset) if axis not in ("lr", *seed_axes(axes_of(dataset)))]
    several = [axis for axis in swept if dataset.sizes[axis] > 1]
    return next((axis for axis in choices if axis in several), several[0] if several else None)


def over_lr(
    result: Result, names: Sequence[str], by: str | None, select: Mapping[str, Any]
) -> pd.DataFrame:
    """Seeds summarised: one row per value of `by`, learning rate and number.

    Columns: by, lr, quantity, runs, died (or diverged), unfinished, unconverged (neither, and the
    stop level was not reached), limit (the largest learning rate at which at most a quarter of the
    seeds died), mean, median, min, q25, q75, max.
    """
    keep = ("lr",) if by is None else (by, "lr")
    part, taken = narrow(result.dataset, keep, select)
    lost = failed(part, keep)
    late = (~lost & (runs(part["converged"], keep) == 0)).sum(axis=-1)
    stable = np.where(lost.mean(axis=-1) <= UNSTABLE, part["lr"].values, np.nan)
    known = np.isfinite(stable).any(axis=-1, keepdims=True)
    limit = np.nanmax(np.where(known, stable, 0.0), axis=-1, keepdims=True)
    limit = np.broadcast_to(np.where(known, limit, np.nan), stable.shape)
    frames = []
    for name in names:
        frame = scalars.summary(part, name, keep)
        frame.insert(len(keep), "quantity", name)
        frames.append(frame.assign(unconverged=late.ravel(), limit=limit.ravel()))
    table = tidy(result, pd.concat(frames, ignore_index=True), taken)
    table.attrs |= {
        "by": by,
        "names": {name: part[name].attrs.get("long_name", name) for name in names},
    }
    return table


def captions_of(result: Result, by: str, values: np.ndarray) -> list[str]:
    """What a reader calls values of an axis: `ρ = 0.95`, or a name alone."""
    labels = labels_of(result.dataset)
    names = not np.issubdtype(values.dtype, np.number)
    return [
        str(v).replace("_", " ") if names else labels.describe({by: v}) for v in values.tolist()
    ]


def draw_line(axes: Axes, rows: pd.DataFrame, x: str = "lr", **how: Any) -> None:
    """Medians and a band over x; hollow where a seed did not reach the stop level."""
    rows = rows[rows["median"].notna()]
    if rows.empty:
        return
    lines.line(axes, x, rows, **how)
    late = rows[rows["unconverged"] > 0]
    if len(late):
        hollow = {**HOLLOW, "mec": how["color"], "marker": how.get("marker", HOLLOW["marker"])}
        axes.plot(late[x], late["median"], gid="unconverged", zorder=4, **hollow)


def finish(axes: Axes, table: pd.DataFrame, inches: float, x: str = "lr") -> bool:
    """A logarithmic axis of learning rates, the stability limit, and crosses where seeds died.

    Returns whether the limit is on the axis.
    """
    values = np.sort(table[x].unique())
    axes.set_xscale("log")
    look.log_ticks(axes.xaxis, values, inches)
    if len(values) > 1:
        room = (values[-1] / values[0]) ** 0.04
        axes.set_xlim(values[0] / room, values[-1] * room)
    lines.crosses(axes, x, table)
    limit = table["limit"].max()
    if not limit < values[-1]:
        return False
    above = values[values > limit].min()
    axes.axvline(np.sqrt(limit * above), gid="limit", **LIMIT)
    return True


def keys_of(table: pd.DataFrame, limited: bool = False) -> list[Artist]:
    """What the legend says of bands, hollow points, the limit if it is drawn, and dead runs."""
    between: list[Artist] = []
    if (table["unconverged"] > 0).any():
        late = {**HOLLOW, "mec": SOFT}
        between.append(Line2D([], [], label="a seed did not reach\nthe stop level", **late))
    if limited:
        between.append(Line2D([], [], label="over ¼ of the seeds\ndiverge beyond", **LIMIT))
    return lines.seed_key(table, *between)


def lost_words(table: pd.DataFrame) -> str:
    """How many runs diverged, or are not trained to their end; rows of one quantity."""
    one = table[table["quantity"] == table["quantity"].iloc[0]]
    return lines.lost_words(one).strip()
