"""What the printed conventions hide: test loss, transition and norms against the effective eps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import (
    band,
    crosses,
    drawn,
    line,
    lost_words,
    seed_words,
)
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import GREEN, INK, SOFT
from superpos_jax.results.runs import failed, fixed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import BUMP, crossing, pooled, squash
from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis, seed_key
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy
from superpos_jax.studies.double_descent.labels import LABELS
from superpos_jax.text import NBSP, counted, written

KEEP = ("lr", "reduction", "eps", "T")
QUANTITIES = ("test_loss", "W_norm", "b_norm")
OTHER_INK = GREEN
DEFAULT = 1e-8
"""Adam's eps where nobody sets it."""
TRANSITION = {"peak": (INK, "largest\ntest loss"), "onset": (OTHER_INK, "test loss\n< 1 from here")}
NORMS = {"W_norm": (INK, "weights ‖W‖"), "b_norm": (OTHER_INK, "biases ‖b‖")}
STYLES: dict[float, dict[str, Any]] = {
    1.0: {"ls": "-", "marker": "o", "ms": 3.2},
    0.0: {"ls": (0, (3, 1.6)), "marker": "s", "ms": 6.0, "mfc": "none", "mew": 0.9},
}
OTHER: dict[str, Any] = {"ls": ":", "marker": "^", "ms": 5.0, "mfc": "none", "mew": 0.9}
SYMBOL = "nʳ ε"


NEEDS = Needs(swept=("T",), one_of=("eps", "reduction"))


def applies(dataset: xr.Dataset) -> str | None:
    """None if the conventions of loss and eps can be compared, else why not."""
    return missing(dataset, "conventions", QUANTITIES, NEEDS)


def conventions_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `conventions`: one row per point, seeds summarised.

    Columns: part, quantity, lr, reduction, eps, effective_eps (n^reduction eps), T, runs, died,
    unfinished (seeds still training), median, min, q25, q75, max over the surviving seeds, and the
    value of every other swept axis.

    Rows of part "line" are the quantities test_loss, W_norm and b_norm at every T. Rows of part
    "summary", absent where a run of the line is unfinished, hold under `median` a number of the
    line of medians: `peak` is the T of its largest test loss above 1.01 (NaN without), `onset` the
    T from which on the test loss is below 1 (interpolated; 0 if at all T, infinity if not at
    the last), both with the spread of what single seeds give, within the swept T; `W_norm` and
    `b_norm` are the largest over T with the spread of the seeds there.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    n, T = int(fixed(result.dataset)["n"]), dataset["T"].values
    died, training = failed(dataset, KEEP), unfinished(dataset, KEEP)
    values = {name: runs(dataset[name], KEEP).astype(float) for name in QUANTITIES}
    rows: list[dict[str, Any]] = []
    for index in np.ndindex(died.shape[:3]):
        at = {axis: dataset[axis].values[i].item() for axis, i in zip(KEEP, index, strict=False)}
        at["effective_eps"] = float(f"{float(n) ** at['reduction'] * at['eps']:.6g}")
        counts = {"runs": died.shape[4], "died": 0, "unfinished": 0}
        for name, array in values.items():
            points = []
            for j, size in enumerate(T):
                lost = {"died": died[(*index, j)].sum(), "unfinished": training[(*index, j)].sum()}
                points.append(pooled(array[(*index, j)], ~died[(*index, j)]))
                point = {"part": "line", "quantity": name, **at, "T": size, **counts, **lost}
                rows.append(point | points[-1])
            if not training[index].any():
                alive = np.where(died[index], np.nan, array[index])
                for number in _summary(name, T, points, alive):
                    rows.append({"part": "summary", **at, **counts, **number})
    frame = tidy(result, pd.DataFrame(rows), taken)
    frame.attrs["n"] = n
    return frame


def _summary(
    name: str, T: np.ndarray, points: list[dict[str, float]], alive: np.ndarray
) -> list[dict[str, Any]]:
    """What is told of one line: `points` along T, and the same of single runs, (T, run)."""
    medians = np.array([point["median"] for point in points])
    if name != "test_loss":
        if not np.isfinite(medians).any():
            return []
        top = int(np.nanargmax(medians))
        return [{"quantity": name, "T": T[top], **points[top]}]
    numbers = []
    for quantity, of in (("peak", _peak), ("onset", _onset)):
        each = np.array([of(T, run) for run in alive.T]).clip(T[0], T[-1])
        spread = pooled(each, np.full(len(each), True))
        value = of(T, medians)
        numbers.append({"quantity": quantity, "T": value, **spread, "median": value})
    return numbers


def _peak(T: np.ndarray, loss: np.ndarray) -> float:
    bump = np.where(loss > 1 + BUMP, loss, -np.inf)
    return float(T[bump.argmax()]) if np.isfinite(bump).any() else float("nan")


def _onset(T: np.ndarray, loss: np.ndarray) -> float:
    return crossing(T.astype(float), -squash(loss))


def conventions(result: Result, **select: Any) -> Figure:
    """Test loss, transition and norms against the effective eps, n^reduction eps (figure J1).

        AdamW(mean over n features, eps) = AdamW(sum over n features, n eps)

    so that of the loss divided by n^r and of eps only the effective eps matters. Above: median test
    loss against T, a colour per effective eps, a line style per loss. Middle: the T of the largest
    test loss, and the T from which on it is below 1. Below: the largest norms over T. Where mean
    and sum reach the same effective eps their lines and points should coincide. A column per
    learning rate.

    Arguments:
        result: a result that sweeps T and eps or reduction, and lr or not; seed axes are pooled.
        select: values of other swept axes (the first by default), or lists that restrict T, lr,
            eps, reduction or a seed axis.

    Returns a Figure. Raises ValueError if T, or both eps and reduction, are not swept.

    Example:
        conventions(result, lr=[1e-3]).savefig("conventions.png")
    """
    return _draw(conventions_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    lrs, scales = np.sort(table["lr"].unique()), np.sort(table["effective_eps"].unique())
    T = np.sort(table.loc[table["part"] == "line", "T"].unique())
    title = "The transition against the effective ε of Adam"
    width, body = max(3.4 * len(lrs) + 2.4, 7.6), max(7.0, 0.2 * len(scales) + 5.4)
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table))
    grid = figure.subplots(3, len(lrs), squeeze=False, sharey="row", height_ratios=[3, 1.7, 1.7])
    for column, lr in zip(grid.T, lrs, strict=True):
        here = table[table["lr"] == lr]
        for axes in column:
            look.dress(axes, grid="y")
            axes.set(xscale="log", xlabel=f"effective ε = {SYMBOL}")
            look.log_ticks(axes.xaxis, scales, (width - 2.2) / len(lrs) - 0.3, power)
        for name, scale in _defaults(table):
            for axes in column[1:]:
                axes.axvline(scale, color=look.GRID, lw=2.5, zorder=0, gid="default")
            at: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": SOFT}
            at |= {"xycoords": column[1].get_xaxis_transform(), "size": 8}
            column[1].annotate(name, (scale, 1.0), xytext=(0, 3), **at)
        column[0].set_xlabel("training samples T")
        _lines(column[0], here[here["part"] == "line"], scales)
        _points(column[1], here, TRANSITION)
        _points(column[2], here, NORMS)
        column[0].set_title(f"lr = {lr:g}", loc="left", weight="bold")
        look.log_ticks(column[0].xaxis, T, (width - 2.2) / len(lrs) - 0.3)
    first = grid[:, 0]
    loss_axis(grid[0], drawn(table[table["quantity"] == "test_loss"]))
    first[0].set_ylabel("test loss")
    first[1].set(yscale="log", ylim=(T[0] / 1.3, T[-1] * 1.3), ylabel="T of the transition")
    look.log_ticks(first[1].yaxis, T, 1.2)
    norms = drawn(table[(table["part"] == "summary") & table["quantity"].isin(NORMS)])
    norms = norms[norms > 0] if (norms > 0).any() else np.array([1.0])
    first[2].set(yscale="log", ylabel="largest norm over T")
    low, high = norms.min() / 1.3, norms.max() * 1.3
    first[2].set_ylim(low, high)
    look.log_ticks(first[2].yaxis, look.round_steps(low, high), 1.2)
    _keys(grid[:, -1], table, scales)
    figure.align_ylabels()
    return figure


def _defaults(table: pd.DataFrame) -> list[tuple[str, float]]:
    """Where the default eps lies under the sum and under the mean, if both are in the range."""
    marks = [("sum", DEFAULT), ("mean", DEFAULT * table.attrs["n"])]
    low, high = table["effective_eps"].min(), table["effective_eps"].max()
    return marks if all(0.99 * low <= scale <= 1.01 * high for _, scale in marks) else []


def _style(reduction: float) -> dict[str, Any]:
    return STYLES.get(reduction, OTHER)


def _lines(axes: Axes, table: pd.DataFrame, scales: np.ndarray) -> None:
    """Test loss against T: a colour per effective eps, a style per reduction."""
    colours = dict(zip(scales, look.shades(len(scales)), strict=True))
    rows = table[table["quantity"] == "test_loss"]
    for (reduction, scale), one in rows.groupby(["reduction", "effective_eps"]):
        how = {**_style(reduction), "color": colours[scale], "lw": 1.3}
        line(axes, "T", one, alpha=0.08, gid=f"{reduction:g}:{scale:g}", **how)
    crosses(axes, "T", rows)


def _points(axes: Axes, table: pd.DataFrame, quantities: dict[str, tuple[str, str]]) -> None:
    """Numbers of whole lines against the effective eps; beyond the swept T, a triangle."""
    table = table[table["part"] == "summary"]
    edges = band(table)
    for quantity, (colour, _) in quantities.items():
        for reduction, rows in table[table["quantity"] == quantity].groupby("reduction"):
            rows = rows.sort_values("effective_eps")
            x, y = rows["effective_eps"], rows["median"]
            inside = np.isfinite(y) & (y > 0)
            if edges is not None:
                axes.vlines(x, rows[edges[0]], rows[edges[1]], color=colour, alpha=0.35, lw=2.2)
            how = {**_style(reduction), "color": colour, "lw": 0.9}
            axes.plot(x, y.where(inside), gid=f"{quantity}:{reduction:g}", **how)
            for end, marker, foot in ((0.0, "v", 0.05), (np.inf, "^", 0.95)):
                out = x[y == end]
                if len(out):
                    at: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "gid": "beyond"}
                    axes.plot(out, np.full(len(out), foot), marker, color=colour, ms=5, **at)


def _keys(column: np.ndarray, table: pd.DataFrame, scales: np.ndarray) -> None:
    """A legend to the right of every panel of the last column."""
    lines = table[table["part"] == "line"]
    keys: list[Artist] = [Line2D([], [], ls="none", label="effective ε")]
    for scale, colour in zip(scales, look.shades(len(scales)), strict=True):
        keys.append(Line2D([], [], color=colour, lw=2.4, label=power(scale)))
    styles: list[Artist] = []
    for reduction in np.sort(table["reduction"].unique())[::-1]:
        word = LABELS.called("reduction", reduction)
        name = f"{word}, r = {reduction:g}" if word else f"r = {reduction:g}"
        styles.append(Line2D([], [], color=SOFT, lw=1.1, label=name, **_style(reduction)))
    every = [keys + styles + seed_key(lines)]
    for quantities in (TRANSITION, NORMS):
        every.append(
            [Line2D([], [], color=c, lw=2.4, label=word) for c, word in quantities.values()]
        )
    if _defaults(table):
        every[1].append(
            Line2D(
                [],
                [],
                color=look.GRID,
                lw=2.5,
                label=f"default\nε = {power(DEFAULT)}",
            )
        )
    beyond = table["median"].isin([0.0, np.inf]) & table["quantity"].isin(TRANSITION)
    if beyond.any():
        every[1].append(
            Line2D([], [], ls="none", marker="^", color=SOFT, label="beyond the\nswept T")
        )
    for axes, handles in zip(column, every, strict=True):
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.03), borderaxespad=0)


def power(value: float) -> str:
    """A number as `10⁻⁵` or `3·10⁻⁶`.

    Example:
        >>> power(1e-5), power(3e-6)
        ('10⁻⁵', '3·10⁻⁶')
    """
    digits, exponent = f"{value:.2e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if float(digits) == 1 else f"{float(digits):g}·10{raised}"


def _pairs(table: pd.DataFrame) -> np.ndarray:
    """Ratios of median test losses, larger over smaller, where an effective eps has several."""
    rows = table[(table["part"] == "line") & (table["quantity"] == "test_loss")]
    rows = rows[np.isfinite(rows["median"])]
    groups = rows.groupby(["lr", "effective_eps", "T"])["median"]
    ratio = (groups.max() / groups.min())[groups.size() > 1]
    return ratio.to_numpy(float)


def _caption(table: pd.DataFrame) -> list[str]:
    lines = table[(table["part"] == "line") & (table["quantity"] == "test_loss")]
    sentences = [
        f"Loss divided by nʳ: in exact arithmetic only {SYMBOL} matters.",
        *_moves(table),
        lost_words(lines),
    ]
    ratio = _pairs(table)
    if len(ratio):
        sentences.append(
            f"At the same {SYMBOL} ({counted(len(ratio), 'point')}) both medians"
            f" differ by {_percent(ratio.max())} at most."
        )
    return [*sentences, seed_words(lines)]


def _percent(ratio: float) -> str:
    percent = 100 * (ratio - 1)
    return f"{percent:.2g} %" if percent >= 0.01 else "less than 0.01 %"


def _moves(table: pd.DataFrame) -> list[str]:
    """Where the transition lies at both ends of the effective eps, by learning rate."""
    parts: list[str] = []
    shown: list[str] = []
    summary, several = table[table["part"] == "summary"], table["lr"].nunique() > 1
    for lr, rows in summary[summary["quantity"] == "onset"].groupby("lr"):
        rows = rows[rows["median"].notna()].sort_values("effective_eps")
        if len(rows) > 1:
            ends = rows.iloc[[0, -1]]
            scales = [power(scale) for scale in ends["effective_eps"]]
            first, last = map(_falls, ends["median"])
            if scales != shown:
                first, last = f"{first} for {SYMBOL} = {scales[0]},", f"{last} for {scales[1]}"
            shown = scales
            at = f" (lr = {lr:g})" if several else ""
            parts.append(f"{first} and {last}{at}".replace(" = ", f"{NBSP}={NBSP}"))
    return [f"The test loss falls below 1 for good {'; '.join(parts)}."] if parts else []


def _falls(onset: float) -> str:
    """Where the test loss falls below 1 for good."""
    if 0 < onset < np.inf:
        return f"at T = {written(onset)}"
    return "at every T" if onset == 0 else "at no swept T"


CONVENTIONS = FigureSpec(
    "conventions",
    conventions_table,
    _draw,
    "test loss, transition and norms against the effective eps of Adam, sum and mean",
    applies,
    NEEDS,
)
