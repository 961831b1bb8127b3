"""What sets the generalizing scale: feature dimensionality against T or T (1 - S)."""

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
    line,
    lost_words,
    seed_key,
    seed_words,
)
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK, SOFT
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import LEARNED, crossing, first_crossing, pooled
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy
from superpos_jax.studies.double_descent.labels import describe
from superpos_jax.text import NBSP

KEEP = ("m", "weight_decay", "S", "T")
COLUMNS = ["part", *KEEP, "seen", "runs", "died", "unfinished", "rank", "D_f"]
COLUMNS += ["median", "min", "q25", "q75", "max", "first"]
LARGEST = 10
"""Features drawn of every model, those with the largest D_f."""

SEEN = f"T{NBSP}(1{NBSP}−{NBSP}S)"
TITLES = {"T": "data-set size T", "seen": "how often a feature is seen, T (1 − S)"}
LABELS = {"T": "training samples T", "seen": "a feature is seen T (1 − S) times"}
DOTTED: Any = {"color": SOFT, "lw": 1.0, "ls": (0, (1, 2)), "zorder": 1}
RING: Any = {"ms": 4.5, "mfc": "white", "mew": 1.0}


NEEDS = Needs(swept=("T",))


def applies(dataset: xr.Dataset) -> str | None:
    """None if the onset of features can be drawn, else why not."""
    return missing(dataset, "onset", ("feature_dimensionality",), NEEDS)


def onset_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `onset`: one row per drawn dot, point of a line, or onset.

    Columns: part, m, weight_decay, S, T, seen = T (1 - S), runs, died, unfinished, rank, D_f,
    median, min, q25, q75, max, first, and the value of every other swept axis. Rows of part
    "feature" hold under `D_f` the 10 largest D_f of every model, by rank (0 is the largest). Rows
    of part "largest" hold the largest D_f of a model, summarised over trained seeds. Rows of part
    "onset", absent where a run of the line is unfinished, hold under T and `seen` where the median
    rises above 0.15 for good, interpolated in log T (0 if above at all T, infinity if not at
    the last); under median, min ... the T that single seeds give, within the swept T; under
    `first` the T where the median first rises above 0.15, for good or not.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    died, training = failed(dataset, KEEP), unfinished(dataset, KEEP)
    D_f = -np.sort(-runs(dataset["feature_dimensionality"], KEEP).astype(float), axis=-1)
    D_f[died | training] = np.nan  # sorted to the end, were they NaN
    T = dataset["T"].values.astype(float)
    rows: list[dict[str, Any]] = []
    for index in np.ndindex(died.shape[:3]):
        at = {axis: dataset[axis].values[i].item() for axis, i in zip(KEEP, index, strict=False)}
        medians = []
        for j, size in enumerate(dataset["T"].values):
            cells = (*index, j)
            counts = {"runs": died.shape[4], "died": died[cells].sum()}
            here = at | {"T": size, "unfinished": training[cells].sum()} | counts
            points = pooled(D_f[cells][:, 0], ~(died | training)[cells])
            medians.append(points["median"])
            rows.append({"part": "largest", **here, **points})
            for rank, value in np.ndenumerate(D_f[cells][:, :LARGEST]):
                if np.isfinite(value):
                    rows.append({"part": "feature", **here, "rank": rank[1], "D_f": value})
        if not training[index].any():
            each = [crossing(T, run - LEARNED) for run in D_f[index][..., 0].T]
            spread = pooled(np.clip(each, T[0], T[-1]), np.full(len(each), True))
            above = np.array(medians) - LEARNED
            row = {"T": crossing(T, above), "first": first_crossing(T, above)}
            rows.append({"part": "onset", **at, "runs": died.shape[4], **row, **spread})
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["seen"] = frame["T"] * (1 - frame["S"])
    return tidy(result, frame, taken)


def onset(result: Result, **select: Any) -> Figure:
    """Feature dimensionality against T, or T (1 - S), and where it sets in (figures J2, J3, J4).

        D_f = |w_f|^2 / sum_j (w_f . w_j)^2 / |w_f|^2,   w = columns of W

    Dots are the 10 largest D_f of every model, lines the median over seeds of the largest. Where
    S is swept the lines are coloured by 1 - S and drawn over T (1 - S), the expected number of
    samples in which a feature occurs: the generalizing scale is set by it if the lines collapse.
    Else they are coloured by weight decay and drawn over T. Below each panel: the T at which the
    line rises above 0.15 for good, with the range of single seeds. A panel per m, and per
    weight decay where S is swept as well.

    Arguments:
        result: a result that sweeps T, and S, weight_decay and m or not; seed axes are pooled.
        select: values of other swept axes (the first by default), or lists that restrict T, S,
            weight_decay, m or a seed axis.

    Returns a Figure. Raises ValueError if T is not swept.

    Example:
        onset(result, weight_decay=1e-2).savefig("onset.png")
    """
    return _draw(onset_table(result, **select))


def _ways(table: pd.DataFrame) -> tuple[str, str]:
    """The columns of x and of the colours."""
    return ("seen", "S") if table["S"].nunique() > 1 else ("T", "weight_decay")


def _colours(table: pd.DataFrame) -> dict[float, str]:
    """A colour for every value of the coloured axis, in the order of 1 - S or of weight decay."""
    _, by = _ways(table)
    values = np.sort(table[by].unique())[:: -1 if by == "S" else 1]
    shades = look.shades(len(values)) if len(values) > 1 else [INK]
    return dict(zip(values.tolist(), shades, strict=True))


def _panels(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The panels, row by row, with what is swept among m and weight decay as their names."""
    axes = ["m", "weight_decay"] if _ways(table)[1] == "S" else ["m"]
    named = [axis for axis in axes if table[axis].nunique() > 1]
    panels = []
    for _, rows in table.groupby(axes):
        at = rows.iloc[0]
        panels.append((describe({axis: float(at[axis]) for axis in named}), rows))
    return panels


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    (x, by), colours, panels = _ways(table), _colours(table), _panels(table)
    columns = table["weight_decay"].nunique() if by == "S" else 1
    columns = columns if columns > 1 else min(len(panels), 2 if len(panels) == 4 else 3)
    lines = -(-len(panels) // columns)
    width = 7.6 if columns == 1 else 2.75 * columns + 2.1
    heights = [3.4 if columns == 1 else 2.4, 0.15 + 0.13 * len(colours)]
    body = lines * (sum(heights) + 0.35) + 0.3
    title = f"Feature dimensionality against {TITLES[x]}"
    setting, caption = table.attrs["setting"], _caption(table)
    figure = look.page(width, body, title, setting, caption, key="side")
    grid = figure.subplots(
        2 * lines, columns, squeeze=False, sharex=True, height_ratios=heights * lines
    )
    places = np.sort(table.loc[table["part"] == "largest", x].unique())
    high = 1.06 * float(np.nanmax([*table["D_f"], 1.5 * LEARNED]))
    for index in range(lines * columns):
        row, column = 2 * (index // columns), index % columns
        top, bottom = grid[row : row + 2, column]
        if index >= len(panels):
            top.set_visible(False)
            bottom.set_visible(False)
            continue
        name, rows = panels[index]
        _panel(top, rows, colours)
        _strip(bottom, rows, colours)
        top.set_title(name, loc="left", weight="bold")
        top.set_ylim(0, high)
        top.tick_params(labelbottom=False, labelleft=column == 0)
        last = index + columns >= len(panels)
        bottom.tick_params(labelbottom=last)
        bottom.set_xlabel(LABELS[x] if last else "")
        if column == 0:
            top.set_ylabel("feature dimensionality $D_f$")
            bottom.set_ylabel("onset", rotation=0, ha="right", va="center")
    ticks = places if x == "T" else look.round_steps(places[0], places[-1])
    look.log_ticks(grid[0, 0].xaxis, ticks, 5.0 if columns == 1 else 2.4)
    _legend(figure, table, colours)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, colours: dict[float, str]) -> None:
    """Dots and lines; the dots of one colour beside those of the next."""
    x, by = _ways(table)
    look.dress(axes, grid="y")
    axes.set_xscale("log")
    axes.axhline(LEARNED, gid="level", **DOTTED)
    for i, (value, colour) in enumerate(colours.items()):
        rows = table[table[by] == value]
        dots = rows[rows["part"] == "feature"]
        aside = 1 + 0.1 * (i - (len(colours) - 1) / 2) / len(colours)
        axes.scatter(dots[x] * aside, dots["D_f"], s=4, color=colour, alpha=0.3, lw=0, gid="dots")
        line(axes, x, rows[rows["part"] == "largest"], color=colour, gid=f"line:{value:g}")
    crosses(axes, x, table[table["part"] == "largest"])


def _strip(axes: Axes, table: pd.DataFrame, colours: dict[float, str]) -> None:
    """The onset of every line and the range of single seeds, one below the other."""
    x, by = _ways(table)
    look.dress(axes, grid="x")
    axes.set(ylim=(len(colours) - 0.3, -0.7), yticks=[])
    axes.spines["left"].set_visible(False)
    edges = band(table)
    for i, (value, colour) in enumerate(colours.items()):
        for _, row in table[(table["part"] == "onset") & (table[by] == value)].iterrows():
            unit = 1 - row["S"] if x == "seen" else 1.0
            if edges is not None:
                ends = unit * row[edges[0]], unit * row[edges[1]]
                axes.hlines(i, *ends, color=colour, alpha=0.4, lw=3, gid="range")
            if 0 < row["first"] < row["T"]:
                axes.plot(unit * row["first"], i, "o", color=colour, gid="first", **RING)
            if 0 < row[x] < np.inf:
                axes.plot(row[x], i, "o", color=colour, ms=4.5, gid="onset")
            elif row[x] in (0, np.inf):
                where: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
                side, marker = (0.0, "<") if row[x] == 0 else (1.0, ">")
                axes.plot(side, i, marker, color=colour, ms=4.5, gid="beyond", **where)


def _legend(figure: Figure, table: pd.DataFrame, colours: dict[float, str]) -> None:
    by = _ways(table)[1]
    keys: list[Artist] = []
    if len(colours) > 1:
        name = "1 − S" if by == "S" else "weight decay"
        keys.append(Line2D([], [], ls="none", label=name))
        how: dict[str, Any] = {"lw": 1.5, "marker": "o", "ms": 2.8}
        for value, colour in colours.items():
            shown = f"{1 - value:.4g}" if by == "S" else f"{value:g}"
            keys.append(Line2D([], [], color=colour, label=shown, **how))
    keys.append(Line2D([], [], label=f"$D_f$ = {LEARNED}", **DOTTED))
    onsets = table[table["part"] == "onset"]
    alone: dict[str, Any] = {"ls": "none", "color": SOFT}
    if _early(onsets).any():
        keys.append(Line2D([], [], marker="o", label="first rise", **{**alone, **RING}))
    if onsets["T"].isin([0, np.inf]).any():
        keys.append(Line2D([], [], marker=">", ms=4.5, label="no onset\nin swept T", **alone))
    look.page_key(figure, keys + seed_key(table))


def _caption(table: pd.DataFrame) -> list[str]:
    largest = table[table["part"] == "largest"]
    dots = f"Dots: the {LARGEST} largest D_f."
    below = f"Below: where a line rises above {LEARNED} for good"
    below += "; bars: single seeds." if largest["runs"].max() > 1 else "."
    lines = seed_words(largest, "Lines, the largest")
    return [dots, lines, below, lost_words(largest, "left out"), *_spread(table)]


def _early(onsets: pd.DataFrame) -> pd.Series:
    """Lines that first rise within the swept T before they do for good."""
    return (onsets["first"] > 0) & (onsets["first"] < onsets["T"])


def _spread(table: pd.DataFrame) -> list[str]:
    """Where the onsets lie, and how far apart those of a panel's lines, in x and in T."""
    x, by = _ways(table)
    onsets = table[table["part"] == "onset"]
    onsets = onsets.assign(marked=(onsets["T"] > 0) & np.isfinite(onsets["T"]))
    inside = onsets[onsets["marked"]]
    if not len(onsets):
        return ["No line is trained to its end, so no onset is marked."]
    if not len(inside):
        return ["No line has its onset within the swept T."]
    units = SEEN if x == "seen" else "T"
    places = [
        _range(rows[x]) + (f" (m = {m:g})" if table["m"].nunique() > 1 else "")
        for m, rows in inside.groupby("m")
    ]
    sentences = [f"Onsets at {units} ≈ {', '.join(places)}."]
    keys = ["m", "weight_decay"] if by == "S" else ["m"]
    groups = onsets.groupby(keys)
    several = groups["marked"].all() & (groups[by].size() > 1)  # with an onset on every line
    if several.any():
        ratios = {u: (groups[u].max() / groups[u].min())[several] for u in ("seen", "T")}
        spread = {u: _range(r) for u, r in ratios.items()}
        text = f"Largest over smallest: {spread[x]} in {units}"
        text += f", {spread['T']} in T" if x == "seen" else ""
        own = several[several].index.get_level_values("m").unique()
        if len(own) < table["m"].nunique():
            text += f" (m = {', '.join(f'{m:g}' for m in own)})"
        sentences.append(f"{text}.")
    if len(early := onsets[_early(onsets)]):
        firsts = early["first"] * (1 - early["S"] if x == "seen" else 1)
        sentences.append(f"Rings: first rise, at {units} = {_range(firsts)}.")
    return sentences


def _range(values: pd.Series) -> str:
    low, high = (f"{float(f'{end:.3g}'):,.10g}" for end in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


ONSET = FigureSpec(
    "onset",
    onset_table,
    _draw,
    "feature dimensionality against T or T (1 - S), and where it sets in",
    applies,
    NEEDS,
    {"feature_dimensionality": LARGEST},
)
