"""Dimensionality of features and of samples against data-set size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, representative
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK, dress, log_ticks, page, page_key, style
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.studies.double_descent.figures.selection import FEATURE, SAMPLE, narrow, tidy
from superpos_jax.studies.double_descent.figures.story import dimensions_story

LARGEST, SPREAD = 30, 30
KINDS = {"feature": (FEATURE, -1.0), "sample": (SAMPLE, 1.0)}
DIMENSIONALITIES = {f"{kind}_dimensionality": LARGEST for kind in KINDS}


NEEDS = Needs(swept=("T",))
REGIMES = (
    "Samples on the dashed line m/T share the space evenly: the model memorizes. A few features far"
    " above the others: it generalizes."
)
"""How the regimes look."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if dimensionalities can be drawn against T, else why not."""
    return missing(dataset, "dimensions", DIMENSIONALITIES, NEEDS)


def dimensions_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `dimensions`: one row per drawn point.

    Columns: m, T, kind ("feature" or "sample"), rank (0 is the largest), count (values of this
    kind over all seeds), runs (surviving seeds, of which all
    values are stored), dimensionality, and the value of every other
    swept axis. Of more than 60 values the largest 30 stay, and 30 of the others at evenly
    spaced ranks. A group without a surviving seed has one row of NaN, rank -1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, ("m", "T"), select)
    alive = ~(failed(dataset, ("m", "T")) | unfinished(dataset, ("m", "T")))
    frames = []
    for kind in KINDS:
        values = runs(dataset[f"{kind}_dimensionality"], ("m", "T"))
        for i, m in enumerate(dataset["m"].values):
            for j, T in enumerate(dataset["T"].values):
                each = _whole(values[i, j][alive[i, j]])
                pooled = each.ravel().astype(float)
                pooled = pooled[np.isfinite(pooled)]
                index, rank = representative(pooled, LARGEST, SPREAD)
                points = pooled[index]
                if not len(points):
                    rank, points = np.array([-1]), np.array([np.nan])
                frame = pd.DataFrame({"rank": rank, "dimensionality": points})
                group = {"m": m, "T": T, "kind": kind, "count": len(pooled)}
                frames.append(frame.assign(**group, runs=len(each)))
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def _whole(runs: np.ndarray) -> np.ndarray:
    """The runs (run, vector) of which all values are there; an archive has some of others."""
    count = np.isfinite(runs).sum(axis=1)
    return runs[count == count.max(initial=0)]


def dimensions(result: Result, **select: Any) -> Figure:
    """Feature (blue) and sample (vermillion) dimensionality against T (figure P3, middle).

        D_i = |v_i|^2 / sum_j (v_i . v_j)^2 / |v_i|^2,   v = columns of W, or hidden vectors

    1 means a dimension of its own, k vectors that share one have 1/k each. Samples on the line
    m/T share the hidden space evenly: the model memorizes. A few features far above the rest:
    it generalizes.

    Arguments:
        result: a result that sweeps T and holds both dimensionalities; seed axes are pooled.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T, m or a seed axis.

    Returns a Figure, one panel per m. Raises ValueError if T is not swept.

    Example:
        dimensions(result, m=[2, 4]).savefig("dimensions.png")
    """
    return _draw(dimensions_table(result, **select))


@style
def _draw(table: pd.DataFrame) -> Figure:
    ms, T = np.sort(table["m"].unique()), np.sort(table["T"].unique())
    columns = len(ms) if len(ms) < 4 else min(3, 4, key=lambda c: -len(ms) % c)
    lines = -(-len(ms) // columns)
    width, tall = (7.6, 4.0) if columns == 1 else (3.6 * columns + 0.5, 2.75 * lines + 0.3)
    title = "Dimensionality of features and of samples against data-set size T"
    caption = [*dimension_words(table), REGIMES]
    figure = page(width, tall, title, table.attrs["setting"], caption, key="top")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    low = lowest(table)
    for index, panel in enumerate(grid.flat):
        if index >= len(ms):
            panel.set_visible(False)
            continue
        m = ms[index]
        draw_dimensions(panel, table[table["m"] == m], float(m), T, low)
        if len(ms) > 1:
            panel.set_title(f"m = {m:g}", loc="left", weight="bold")
        log_ticks(panel.xaxis, T, (width - 1.0) / columns - 0.4)
        if index + columns >= len(ms):
            panel.set_xlabel("training samples T")
        panel.tick_params(labelbottom=index + columns >= len(ms))
    for panel in grid[:, 0]:
        panel.set_ylabel("dimensionality D")
    page_key(figure, dimension_key(table))
    return figure


def lowest(table: pd.DataFrame) -> float:
    """Smallest D drawn in place: a tenth of an even share of the longest crowd."""
    crowd = float((table["count"] / table["runs"].clip(lower=1)).max())
    share = 0.1 * float(table["m"].min()) / max(crowd, float(table["T"].max()))
    return float(10.0 ** np.floor(np.log10(share)))


def draw_dimensions(axes: Axes, table: pd.DataFrame, m: float, T: np.ndarray, low: float) -> None:
    """Both kinds of dimensionality against T, and the line m/T."""
    dress(axes, grid="y")
    axes.set(xscale="log", yscale="log", ylim=(0.6 * low, 1.7))
    decades = 10.0 ** np.arange(round(np.log10(low)), 1)
    names = [f"$10^{{{power:.0f}}}$" for power in np.log10(decades)]
    axes.set_yticks(decades, labels=["≤ " + names[0], *names[1:-1], "1"])
    axes.minorticks_off()
    step = float(np.diff(np.log(T)).min()) if len(T) > 1 else 1.0
    for kind, (colour, side) in KINDS.items():
        rows = table[table["kind"] == kind]
        # The golden ratio spreads any run of ranks evenly; features left of T, samples right.
        jitter = np.modf(rows["rank"].to_numpy(float) * 0.6180339887)[0]
        x = rows["T"] * np.exp(side * step * (0.05 + 0.33 * jitter))
        y = rows["dimensionality"].clip(lower=low)
        axes.scatter(x, y, s=5, color=colour, alpha=0.45, lw=0, gid=kind, zorder=3)
    axes.set_xlim(T[0] * np.exp(-0.7 * step), T[-1] * np.exp(0.7 * step))
    # Below T = m samples do not share: the guide stops at a whole dimension each.
    ends = np.array([max(m, T[0]), T[-1]]) if T[-1] > m else np.array([])
    axes.plot(ends, m / ends, color=INK, lw=1.1, ls=(0, (4, 2.5)), zorder=4, gid="guide")


def dimension_key(table: pd.DataFrame) -> list[Artist]:
    """The entries of the legend: features, samples (of which some are stored), the line m/T."""
    dot: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4, "mew": 0}
    guide = Line2D([], [], color=INK, lw=1.1, ls=(0, (4, 2.5)), label="even share m/T")
    features = Line2D([], [], color=FEATURE, label="features, columns of W", **dot)
    stored = table[(table["kind"] == "sample") & (table["runs"] > 0)]
    each = (stored["count"] / stored["runs"]).round()
    fewer = each[each < stored["T"]]
    some = f"first {fewer.max():,.0f} " if len(fewer) else ""
    samples = Line2D([], [], color=SAMPLE, label=f"{some}samples, h = W x", **dot)
    return [features, samples, guide]


def dimension_words(table: pd.DataFrame) -> list[str]:
    """What D is, and which of the points are drawn."""
    sentences = ["D: 1 for a vector with a dimension of its own, 1/k where k share one."]
    seeds = table.loc[table["runs"] > 0, "runs"]
    of = f"of {int(seeds.min())} to {int(seeds.max())} seeds" if seeds.nunique() > 1 else ""
    if len(seeds) and seeds.nunique() == 1 and seeds.iloc[0] > 1:
        of = f"of all {int(seeds.iloc[0])} seeds together"
    many = (table["count"] > LARGEST + SPREAD).any()
    some = f"the {LARGEST} largest and {SPREAD} others of each kind" if many else ""
    if drawn := ", ".join(filter(None, (some, of))):
        sentences.append(f"Drawn: {drawn}.")
    return sentences


DIMENSIONS = FigureSpec(
    "dimensions",
    dimensions_table,
    _draw,
    "dimensionality of features and samples against T, a panel per m",
    applies,
    NEEDS,
    DIMENSIONALITIES,
    dimensions_story,
)
