"""Decoupled weight decay beside an L2 term in the loss: the ring that each buys, and its price."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import lost_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import with_room
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import BLUE, INK, VERMILLION
from superpos_jax.studies.bows.figures.setting import tidy

NEEDS = Needs(swept=("arm", "m"))
ERROR, RING = "validation_loss", "cyclic_correlation"
PCA = "pca_"
KINDS = {"decoupled": (BLUE, "o"), "L2 term": (VERMILLION, "s")}
"""What shrinks the weights, its colour and marker."""
COLUMNS = 4
"""Values of m, at most."""
NAMED = 4
"""Strengths that are written at their points, the largest ones."""
SIZE = 6.5
"""Points of their type."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if arms have an L2 term, else why not."""
    if lack := missing(dataset, "decay", (ERROR, RING, PCA + ERROR, PCA + RING), NEEDS):
        return lack
    arms = json.loads(dataset.attrs["sweep"]).get("arms", {})
    has_term = any("l2" in values for values in arms.values())
    return None if has_term else "decay needs arms of which some have an L2 term, l2"


def decay_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `decay`: one row per arm and m, seeds summarised.

    Columns: arm, m, kind ("decoupled", "L2 term", or "PCA" of the best linear model), strength (the
    weight decay, or the factor of the L2 term), error and ring with _median, _min and _max, of the
    validation error and of the correlation with the ring, runs, died, unfinished, and the value of
    every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, ("arm", "m"), select)
    arms = json.loads(dataset.attrs["sweep"])["arms"]
    frame = _summary(dataset, "")
    terms = [arms[arm].get("l2", 0.0) for arm in frame["arm"]]
    decays = [arms[arm].get("weight_decay", np.nan) for arm in frame["arm"]]
    frame["kind"] = np.where(np.array(terms) > 0, "L2 term", "decoupled")
    frame["strength"] = np.where(np.array(terms) > 0, terms, decays)
    exact = _summary(dataset.isel(arm=[0]), PCA).assign(kind="PCA")
    return tidy(result, pd.concat([frame, exact], ignore_index=True), taken)


def _summary(dataset: xr.Dataset, prefix: str) -> pd.DataFrame:
    """Error and ring of every arm and m, of the models, or of PCA."""
    points = ("median", "min", "max")
    error, ring = (scalars.summary(dataset, prefix + name, ("arm", "m")) for name in (ERROR, RING))
    frame = error[["arm", "m", "runs", "died", "unfinished"]].copy()
    for name, values in (("error", error), ("ring", ring)):
        frame = frame.assign(**{f"{name}_{point}": values[point] for point in points})
    return frame


def decay(result: Result, **select: Any) -> Figure:
    """Correlation with the ring against the error, as the weights are shrunk in two ways.

    Decoupled decay at wd bounds every weight by 1 / wd in the long run; an L2 term in the loss does
    not. A panel for each m; the numbers at points are strengths, the star is PCA.

    Arguments:
        result: of the study bows, with arms of which some set weight_decay and some l2.
        select: values of other swept axes, or lists that restrict arm or m.

    Returns a Figure. Raises ValueError where there are no such arms.

    Example:
        decay(result, m=[6, 8]).savefig("decay.png")
    """
    return _draw(decay_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    ms = np.unique(table["m"])[:COLUMNS]
    title = "Decoupled weight decay and an L2 term: the ring and its price"
    figure = look.page(2.9 * max(2, len(ms)), 2.9, title, table.attrs["setting"], _caption(table))
    panels = figure.subplots(1, len(ms), squeeze=False, sharex=True, sharey=True)[0]
    for panel, m in zip(panels, ms, strict=True):
        look.dress(panel, grid="y")
        panel.set(xscale="log", xlabel="validation error")
        panel.set_title(f"m = {m}", loc="left", weight="bold")
        own = table[table["m"] == m]
        for kind, (colour, marker) in KINDS.items():
            rows = own[own["kind"] == kind].sort_values("strength")
            x, y = rows["error_median"], rows["ring_median"]
            spread: Any = [
                [rows[f"{name}_median"] - rows[f"{name}_min"],
                 rows[f"{name}_max"] - rows[f"{name}_median"]]
                for name in ("error", "ring")
            ]  # fmt: skip
            panel.errorbar(
                x, y, yerr=spread[1], xerr=spread[0], color=colour, marker=marker, ms=3.5, lw=1.2,
                elinewidth=0.7, label="L2 term" if kind == "L2 term" else "decoupled decay",
            )  # fmt: skip
        exact = own[own["kind"] == "PCA"]
        panel.plot(
            exact["error_median"], exact["ring_median"], color=INK, marker="*", ms=9, ls="none",
            label="PCA",
        )  # fmt: skip
    panels[0].set_ylabel("correlation with the ring")
    panels[0].legend(loc="center left", fontsize=7.5)
    steps = look.round_steps(*panels[0].get_xlim())
    for panel in panels:
        look.log_ticks(panel.xaxis, steps, 2.2)
    figure.draw_without_rendering()  # sizes of the panels are known from here on
    for panel, m in zip(panels, ms, strict=True):
        _strengths(panel, table[(table["m"] == m) & table["error_median"].notna()])
    return figure


def _strengths(panel: Axes, rows: pd.DataFrame) -> None:
    """The largest strengths at their points, where they have room."""
    largest = [
        own.sort_values("strength").iloc[::-1].head(NAMED)
        for own in (rows[rows["kind"] == kind] for kind in KINDS)
    ]
    named = pd.concat(largest)
    points = named[["error_median", "ring_median"]].to_numpy(float)
    below = (named["kind"] == "decoupled").to_numpy()
    offsets = np.stack([np.full(len(named), 3.0), np.where(below, -8.0, 4.0)], axis=1)
    texts = [f"{strength:g}" for strength in named["strength"]]
    places = panel.transData.transform(points) * 72 / panel.figure.dpi + offsets
    places[:, 0] += [0.3 * SIZE * len(text) for text in texts]  # from the left edge to the middle
    room = with_room(places, texts, SIZE)
    for i in np.flatnonzero(room):
        colour = KINDS[named["kind"].iloc[i]][0]
        panel.annotate(
            texts[i], points[i], offsets[i], textcoords="offset points", size=SIZE, color=colour
        )


def _caption(table: pd.DataFrame) -> list[str]:
    trained = table[table["kind"] != "PCA"]
    seeds = int(trained["runs"].max())
    spread = f"Median of {seeds} seeds, bars over all of them." if seeds > 1 else "One seed."
    return [
        f"Numbers at the {NAMED} strongest, where there is room: weight decay, or the factor of the"
        " L2 term. Ring: WᵀW against cos(2π(i - j)/d), i and j two of the d features.",
        "PCA: the best linear model, in closed form.",
        spread,
        lost_words(trained),
    ]


DECAY = FigureSpec(
    "decay", decay_table, _draw, "the ring against the error, by decoupled decay and by an L2 term",
    applies, NEEDS,
)  # fmt: skip
