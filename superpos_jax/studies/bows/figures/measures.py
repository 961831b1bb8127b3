"""How geometry, error and norm change with m or the window: one line per weight decay, and PCA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import crosses, line, lost_words, seed_key, seed_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.studies.bows.figures.gram import ROUNDING
from superpos_jax.studies.bows.figures.setting import tidy
from superpos_jax.studies.bows.labels import LABELS

ALONG = {"m": "hidden dimensions m", "window": "content words of a bag"}
"""What is drawn over: the first of these that is swept, and what the axis says."""
NEEDS = Needs(one_of=tuple(ALONG))
PCA = "pca_"
QUANTITIES: Mapping[str, str] = {
    "validation_loss": "validation error",
    "cyclic_correlation": "correlation with the ring",
    "ring_score": "ring score",
    "geometry_follows_data": "geometry follows data",
    "antipodality": "share with an antipode",
    "W_norm2": "|W|², sum of squares",
}
"""What is drawn where it is there, and what the axis says."""
MOST = 4
"""Panels in a row."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if something is measured over m or the window, else why not."""
    wanted = ("validation_loss", "W_norm2", PCA + "W_norm2", "geometry_follows_data")
    return missing(dataset, "measures", wanted, NEEDS)


def measures_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `measures`: one row per (quantity, activation, weight decay, m).

    Columns: quantity, activation ("PCA" for the closed form), weight_decay, m (or window, where m
    is not swept), runs, died,
    unfinished, mean, median, min, q25, q75, max over the surviving seeds, and the value of every
    other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    along = next(axis for axis in ALONG if axis in several(result.dataset))
    keep = ("activation", "weight_decay", along)
    dataset, taken = narrow(result.dataset, keep, select)
    frames = []
    for prefix in ("", PCA):  # what is left of overlaps that vanish follows nothing
        ring, gap = prefix + "cyclic_correlation", prefix + "identity_gap"
        if ring in dataset and gap in dataset:
            dataset[ring] = dataset[ring].where(dataset[gap] > ROUNDING)
    for quantity in _drawn(dataset):
        frames.append(scalars.summary(dataset, quantity, keep).assign(quantity=quantity))
        if PCA + quantity in dataset:
            exact = scalars.summary(dataset, PCA + quantity, keep)
            exact = exact.groupby(along, as_index=False).first()
            frames.append(exact.assign(quantity=quantity, activation="PCA", weight_decay=np.nan))
    frame = pd.concat(frames, ignore_index=True)
    names = {"linear": "linear", "relu": "relu", 0: "linear", 1: "relu"}
    frame["activation"] = frame["activation"].map(lambda value: names.get(value, value))
    frame = tidy(result, frame, taken)
    frame.attrs["along"] = along
    frame.attrs["level"] = float(dataset["ring_level"].mean()) if "ring_level" in dataset else None
    return frame


def several(dataset: xr.Dataset) -> set[str]:
    """The axes with several values."""
    return {axis for axis in axes_of(dataset) if dataset.sizes[axis] > 1}


def _drawn(dataset: xr.Dataset) -> list[str]:
    """The quantities of a result: at most four, those of a ring where there is one."""
    there = [q for q in QUANTITIES if q in dataset and np.isfinite(dataset[q].values).any()]
    dropped = {"ring_score"} if "feature" in dataset.sizes and dataset.sizes["feature"] < 64 else {
        "cyclic_correlation", "antipodality"
    }  # fmt: skip
    if "cyclic_correlation" in there:
        dropped |= {"geometry_follows_data"} if "ring_score" in dropped else set()
    return [quantity for quantity in there if quantity not in dropped][:MOST]


def measures(result: Result, **select: Any) -> Figure:
    """Error, geometry and squared norm against m, a line for each weight decay, PCA in black.

    Where m is not swept they are drawn against the window. A row of panels for each activation.
    Lines are medians over seeds, bands reach over all of them, or over the middle half from 8
    seeds on.

    Arguments:
        result: of the study bows; it sweeps m or window.
        select: `structure="sphere"`, or lists that restrict m, activation or weight_decay.

    Returns a Figure. Raises ValueError where neither is swept.

    Example:
        measures(result, activation=["relu"]).savefig("measures.png")
    """
    return _draw(measures_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    along = table.attrs["along"]
    quantities = table["quantity"].unique().tolist()
    trained = table[table["activation"] != "PCA"]
    rows = trained["activation"].unique().tolist()
    decays = np.sort(trained["weight_decay"].unique())
    colours = look.shades(len(decays)) if len(decays) > 1 else [look.VERMILLION]
    title = f"Geometry, error and norm against {along}, by weight decay"
    room, width = look.SIDE, 2.75 * len(quantities)
    setting, caption = table.attrs["setting"], _caption(trained)
    body = 2.4 * len(rows) + 0.3
    figure = look.page(width + room, body, title, setting, caption, key="side", room=room)
    grid = figure.subplots(len(rows), len(quantities), squeeze=False, sharex=True, sharey="col")
    for panels, activation in zip(grid, rows, strict=True):
        for axes, quantity in zip(panels, quantities, strict=True):
            look.dress(axes, grid="y")
            own = table[table["quantity"] == quantity]
            exact = own[own["activation"] == "PCA"].sort_values(along)
            axes.plot(exact[along], exact["median"], color=INK, lw=1.2, ls=(0, (4, 2)), zorder=3)
            for decay, colour in zip(decays, colours, strict=True):
                chosen = (own["activation"] == activation) & (own["weight_decay"] == decay)
                line(axes, along, own[chosen], color=colour)
            crosses(axes, along, own[own["activation"] == activation])
            if quantity == "ring_score" and table.attrs["level"]:
                axes.axhline(table.attrs["level"], color=look.SOFT, lw=0.9, ls=(0, (1, 2)))
            axes.set_ylabel(QUANTITIES[quantity])
        panels[0].set_title(activation, loc="left", weight="bold")
    places = np.sort(table[along].unique())
    log = places[-1] > 16
    for axes in grid[-1]:
        axes.set_xlabel(ALONG[along])
        if log:
            axes.set_xscale("log")
            look.log_ticks(axes.xaxis, places, 2.1)
        else:
            axes.set_xticks(places)
    keys: list[Artist] = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=LABELS.describe({"wd": d}))
        for d, colour in zip(decays.tolist(), colours, strict=True)
    ]
    keys.append(Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label="PCA"))
    look.page_key(figure, [*keys, *seed_key(trained)])
    figure.align_ylabels()
    return figure


def _caption(trained: pd.DataFrame) -> list[str]:
    words = {
        "cyclic_correlation": "Correlation with the ring: of WᵀW with cos(2π(i - j)/d), i and j two"
        " of the d features; none where no two overlap.",
        "ring_score": "Ring score: 1 for months evenly in order on a circle; 95 % of random orders"
        " are below the dotted line.",
        "geometry_follows_data": "Geometry follows data: correlation over all pairs of features of"
        " their cosine in W with their correlation in the data.",
        "antipodality": "Antipode: another feature at a cosine below -0.8; a ring of even size has"
        " them too.",
    }
    there = trained["quantity"].unique()
    return [
        seed_words(trained),
        *(text for quantity, text in words.items() if quantity in there),
        lost_words(trained[trained["quantity"] == there[0]]),
        "PCA: the best linear model, in closed form.",
    ]


MEASURES = FigureSpec(
    "measures", measures_table, _draw, "error, geometry and norm against m or window, and PCA",
    applies, NEEDS,
)  # fmt: skip
