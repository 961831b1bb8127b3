"""How many repeats make a model memorize a sample, against the number of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import CROSS, lost_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import constants
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import DEAD, INK, SOFT
from superpos_jax.results.runs import failed, fixed, unfinished
from superpos_jax.statements.resampling import enough, interval
from superpos_jax.studies.double_descent import edge
from superpos_jax.studies.double_descent.figures.selection import (
    SAMPLE,
    narrow,
    tidy,
)

SLOPE = 0.4
"""Of the reference line R = 0.4 T/n."""
SHADES = LinearSegmentedColormap.from_list("share", ["#FFFFFF", SAMPLE])
KEEP = ("T", "repeats")


NEEDS = Needs(swept=KEEP, holds={"repeated": 1})


def applies(dataset: xr.Dataset) -> str | None:
    """None if repeats can be drawn against T/n, else why not."""
    return missing(dataset, "repeats", ("repeated_rank",), NEEDS)


def repeats_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `repeats`: rows of three kinds.

    kind "cell", one per (T, R): runs, died, unfinished, known (trained seeds),
    held (of those, the ones in which sample 0 is among the top 0.1 % of D_X) and share, held /
    known. kind "boundary", one per T: repeats is the R at which half of the seeds hold the sample,
    interpolated in log R, with low and high, its 95 % interval over seeds, 0 or infinity
    beyond the swept R; NaN where it lies "below" or "above" these, which `side` says ("inside"
    otherwise, "" without data). kind "fit", at most one: exponent a and factor c of R = c (T/n)^a
    through the boundaries with T/n >= 2, if all of these lie inside, with low and high for a, if
    nine of ten choices of the seeds have a line. ratio is T/n. m and the values of other swept axes
    follow.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    wanted = dict(select)
    if "repeated" in result.dataset["verdict"].dims:
        wanted = {"repeated": 1, **select}
    dataset, taken = narrow(result.dataset, KEEP, wanted)
    n = float(fixed(result.dataset)["n"])
    T, R = (dataset[axis].values.astype(float) for axis in KEEP)
    died, training = failed(dataset, KEEP), unfinished(dataset, KEEP)
    held = edge.held(dataset, KEEP, died | training)
    share = edge.share(held)
    rows: list[dict[str, Any]] = []
    for i, j in np.ndindex(share.shape):
        trained = np.isfinite(held[i, j])
        row: dict[str, Any] = {"kind": "cell", "T": T[i], "ratio": T[i] / n, "repeats": R[j]}
        row |= {"runs": died.shape[2], "died": died[i, j].sum(), "share": share[i, j]}
        row |= {"unfinished": training[i, j].sum(), "known": trained.sum()}
        rows.append(row | {"held": int(held[i, j][trained].sum())})
    halves = np.array([edge.boundary(R, line) for line in share])
    draws = edge.resampled(held, R)
    for i, at in enumerate(halves):
        low, high = interval(at, draws[:, i], held.shape[2], positive=True)
        side = "below" if at == 0 else "above" if at == np.inf else "inside" if at > 0 else ""
        row = {"kind": "boundary", "T": T[i], "ratio": T[i] / n}
        rows.append(
            row
            | {
                "side": side,
                "repeats": at if side == "inside" else np.nan,
                "low": low,
                "high": high,
            }
        )
    late = T / n >= edge.FROM
    if (line := edge.power_law(T[late] / n, halves[late])) is not None:
        fits = (edge.power_law(T[late] / n, draw[late]) for draw in draws)
        slopes = np.array([np.nan if fit is None else fit[0] for fit in fits])
        sure = enough(slopes)
        low, high = interval(line[0], slopes, held.shape[2]) if sure else (np.nan, np.nan)
        slope = {"exponent": line[0], "factor": line[1], "low": low, "high": high}
        rows.append({"kind": "fit", **slope})
    columns = [*("kind", "T", "ratio", "repeats", "runs", "died", "unfinished", "known", "held")]
    columns += [*("share", "side", "low", "high", "exponent", "factor")]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    taken |= constants(result.dataset, "m")
    return tidy(result, frame.assign(side=frame["side"].fillna("")), taken)


def repeats(result: Result, **select: Any) -> Figure:
    """Share of seeds that memorize a sample by its repeats R and by T/n (figure J6 of the study).

    One sample is in the training set R times, the others once. It is memorized if its D_X is among
    the top 0.1 % at the end of training, so among the top max(1, T/1000). The R at which half of
    the seeds memorize it is fitted by R = c (T/n)^a over T/n >= 2, beside R = 0.4 T/n.

    Arguments:
        result: a result that sweeps T and repeats with `repeated` = 1; seed axes are pooled.
        select: values of other swept axes (`m=2`; the first by default), or lists that
            restrict T, repeats or a seed axis.

    Returns a Figure. Raises ValueError if T or repeats is not swept.

    Example:
        repeats(result, T=[1000, 2000, 4000]).savefig("repeats.png")
    """
    return _draw(repeats_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    cells = table[table["kind"] == "cell"]
    x, y = np.sort(cells["ratio"].unique()), np.sort(cells["repeats"].unique())
    title = "How many repeats make a model memorize a sample"
    width, body = 7.6, 5.0
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key="top")
    axes = figure.add_subplot()
    look.dress(axes)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="training samples for each feature, T/n", ylabel="repeats R of the sample")
    limits = [_limits(values) for values in (x, y)]
    axes.set(xlim=limits[0], ylim=limits[1])
    span = [np.log(high / low) for low, high in limits]
    rounded = [float(f"{ratio:.3g}") for ratio in x]
    look.log_ticks(axes.xaxis, rounded, 5.6 * np.log(x[-1] / x[0]) / span[0])
    look.log_ticks(axes.yaxis, y, 4.2 * np.log(y[-1] / y[0]) / span[1])
    gaps = [72 * inch * _gap(v) / s for v, inch, s in zip((x, y), (5.6, 4.2), span, strict=True)]
    size = float(np.clip(0.62 * min(gaps), 4.0, 15.0))
    shown = cells[cells["share"].notna()]
    dots = axes.scatter(
        shown["ratio"], shown["repeats"], s=size**2, c=shown["share"], cmap=SHADES, gid="cells"
    )
    dots.set(clim=(0, 1), edgecolor=SOFT, linewidth=0.8, zorder=3)
    handles = _lines(axes, table)
    handles += _blanks(axes, cells[cells["share"].isna()], size)
    bar = figure.colorbar(dots, ax=axes, pad=0.015, fraction=0.06, aspect=24)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "¼", "½", "¾", "1"])
    bar.ax.tick_params(labelsize=8.5, length=3, width=0.6, color=SOFT)
    bar.outline.set(edgecolor=SOFT, linewidth=0.6)
    bar.set_label("share of seeds that memorize the sample")
    look.page_key(figure, handles)
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Room for half a step beyond both ends of a logarithmic axis; around one value a factor."""
    room = float(np.exp(0.07 * np.log(values[-1] / values[0]))) if len(values) > 1 else 2.0
    return float(values[0] / room), float(values[-1] * room)


def _gap(values: np.ndarray) -> float:
    return float(np.diff(np.log(values)).min(initial=1.0))


def _lines(axes: Axes, table: pd.DataFrame) -> list[Line2D]:
    """The boundary, its fit, and the reference line; and their legend."""
    low, high = axes.get_xlim()
    ends = np.array([low, high])
    dash: dict[str, Any] = {"color": SOFT, "lw": 1.2, "ls": (0, (4, 3))}
    axes.plot(ends, SLOPE * ends, gid="reference", zorder=2, **dash)
    handles = [Line2D([], [], label=f"R = {SLOPE:g} T/n", **dash)]
    half = table[(table["kind"] == "boundary") & table["repeats"].notna()]
    if len(half):
        mark: dict[str, Any] = {"color": INK, "marker": "D", "ms": 5.5, "mec": "white", "mew": 0.9}
        bars = half[["low", "high"]].clip(*axes.get_ylim())
        axes.vlines(half["ratio"], bars["low"], bars["high"], color=INK, lw=1.2, zorder=2.5)
        axes.plot(half["ratio"], half["repeats"], ls="none", zorder=5, gid="boundary", **mark)
        handles.insert(0, Line2D([], [], ls="none", label="half of the seeds", **mark))
    for fit in table[table["kind"] == "fit"].itertuples():
        used = half.loc[half["ratio"] >= edge.FROM, "ratio"]
        ends = np.array([used.min(), used.max()])
        axes.plot(ends, fit.factor * ends**fit.exponent, color=INK, lw=1.5, zorder=4, gid="fit")
        label = f"fit R = {fit.factor:.2g} $(T/n)^{{{fit.exponent:.2f}}}$"
        handles.insert(1, Line2D([], [], color=INK, lw=1.5, label=label))
    return handles


def _blanks(axes: Axes, cells: pd.DataFrame, size: float) -> list[Line2D]:
    """Cells without a share: crosses where all died, small empty rings where nothing is known."""
    handles = []
    gone = cells["died"] == cells["runs"]
    ring: dict[str, Any] = {"ls": "none", "marker": "o", "mfc": "none", "mec": DEAD, "mew": 0.8}
    looks = (("died", gone, CROSS, "all seeds died"), ("unknown", ~gone, ring, "not known yet"))
    for name, which, mark, label in looks:
        if which.any():
            at = cells.loc[which, "ratio"], cells.loc[which, "repeats"]
            axes.plot(*at, gid=name, **{**mark, "ms": 0.5 * size})
            handles.append(Line2D([], [], **{**mark, "ms": 5.5, "label": label}))
    return handles


def _caption(table: pd.DataFrame) -> list[str]:
    cells, half, fit = (table[table["kind"] == kind] for kind in ("cell", "boundary", "fit"))
    count = int(cells["known"].max())
    sentences = [
        f"Colour: in what share of the seeds ({count} a cell) the one sample that is there R times"
        " is memorized, its D_X among the top 0.1 %.",
    ]
    if half["repeats"].notna().any():
        bars = "; bars: 95 % under resampled seeds" if half["low"].notna().any() else ""
        sentences.append(f"Diamonds: the R at which half of the seeds memorize it{bars}.")
    sentences.append(lost_words(cells, "left out"))
    for row in fit.itertuples():
        text = f"For T/n ≥ {edge.FROM:g} this R grows as (T/n)^a, a = {row.exponent:.2f}"
        spread = f" ({row.low:.2f} to {row.high:.2f})" if np.isfinite(row.low) else ""
        sentences.append(f"{text}{spread}.")
    if fit.empty:
        late = half.loc[half["ratio"] >= edge.FROM, "side"]
        few = (late == "inside").sum() < edge.POINTS
        why = f"fewer than {edge.POINTS} boundaries" if few else "a boundary beyond the swept R"
        sentences.append(f"No line is fitted: {why} at T/n ≥ {edge.FROM:g}.")
    for side, where in (("below", "below the smallest"), ("above", "above the largest")):
        ratios = half.loc[half["side"] == side, "ratio"]
        if len(ratios):
            places = ", ".join(f"{r:g}" for r in ratios)
            sentences.append(f"At T/n = {places} it lies {where} R.")
    return sentences


REPEATS = FigureSpec(
    "repeats",
    repeats_table,
    _draw,
    "share of seeds that memorize a sample, by its repeats and T/n",
    applies,
    NEEDS,
)
