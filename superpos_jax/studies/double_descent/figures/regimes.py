"""The three regimes on one page: test loss, dimensionalities and vectors against T."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from superpos_jax.drawing import style as look
from superpos_jax.drawing.heatmap import edges
from superpos_jax.drawing.lines import crosses, drawn, line, lost_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.pages import key_above, stack
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK, SOFT
from superpos_jax.results.runs import failed, fixed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import commonest
from superpos_jax.studies.double_descent.figures.dimensions import (
    DIMENSIONALITIES,
    dimension_key,
    dimension_words,
    dimensions_table,
    draw_dimensions,
    lowest,
)
from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis, seed_key
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy
from superpos_jax.studies.double_descent.figures.t_sweep import peak_words, t_sweep_table
from superpos_jax.studies.double_descent.figures.vector_panels import (
    ARRAYS,
    REGIME_NAMES,
    at_m2,
    draw_vectors,
    lacks_weights,
    one_seed,
)
from superpos_jax.studies.double_descent.figures.vectors import vectors_table
from superpos_jax.studies.double_descent.labels import SEEDS, describe
from superpos_jax.text import NBSP

WIDTH = 10.6
TINTS = {"memorizing": "#FCEFE7", "middle": "#F0F0F0", "generalizing": "#E8F1F8"}
"""Vermillion where samples are stored, blue where features are."""
MARK: Any = {"ls": "none", "marker": "^", "ms": 6, "color": INK, "mew": 0}
MEAN: Any = {"color": SOFT, "lw": 1.0, "ls": (0, (4, 1.5)), "marker": "x", "ms": 3.5}


NEEDS = Needs(swept=("T",), holds={"m": 2})


def applies(dataset: xr.Dataset) -> str | None:
    """None if the page can be drawn, else why not."""
    variables = ("train_loss", "test_loss", "regime", *DIMENSIONALITIES)
    return missing(dataset, "regimes", variables, NEEDS) or lacks_weights(dataset, "regimes")


def regimes_table(result: Result, at: Sequence[int] | None = None, **select: Any) -> pd.DataFrame:
    """The numbers of `regimes`: the tables of its three parts, one below the other.

    Columns: part, T, m, and by part: "loss" has those of `t_sweep_table` (test loss only) and
    regime, the commonest of the surviving seeds; "dimension" those of `dimensions_table`;
    "vector" those of `vectors_table`, with the seed. A column that a part does not have is empty
    there. Last the value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    wanted = at_m2(result.dataset, "regimes", select)
    loss = t_sweep_table(result, by="m", **wanted)
    loss = loss[loss["split"] == "test"]
    dataset, taken = narrow(result.dataset, ("m", "T"), wanted)
    alive = ~(failed(dataset, ("m", "T")) | unfinished(dataset, ("m", "T")))
    by_seed = np.where(alive, runs(dataset["regime"], ("m", "T")), -1)[0]
    loss = loss.assign(regime=[REGIME_NAMES[commonest(row)] for row in by_seed])
    vectors = vectors_table(result, **one_seed(result.dataset, wanted, at))
    parts = {"loss": loss, "dimension": dimensions_table(result, **wanted), "vector": vectors}
    frame = tidy(result, stack(parts), {"m": 2, **taken})
    frame.attrs["n"] = int(fixed(result.dataset)["n"])
    return frame


def regimes(result: Result, at: Sequence[int] | None = None, **select: Any) -> Figure:
    """Test loss, dimensionalities and vectors against T, m = 2 (figure P3 of the study).

    Top: the test loss, whose bump lies between memorizing and generalizing. Middle: feature (blue)
    and sample (vermillion) dimensionality, as in `dimensions`. Bottom: feature vectors above hidden
    vectors, as in `vectors`. After Henighan et al., "Superposition, Memorization, and Double
    Descent" (2023).

    Arguments:
        result: a result that sweeps T and holds m = 2 with its weights; seeds are pooled in the
            upper parts, the vectors are those of the first seed.
        at: the T of the vectors; 8 spread over the swept T by default.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T or a seed axis.

    Returns a Figure. Raises ValueError without T swept, m = 2 or W.

    Example:
        regimes(result, at=[3, 5, 8, 30, 300, 5000]).savefig("regimes.png")
    """
    return _draw(regimes_table(result, at, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    parts = [table[table["part"] == part] for part in ("loss", "dimension", "vector")]
    loss, dimension, vector = parts
    T, columns = np.sort(loss["T"].unique()), vector["T"].unique()
    title = "The three regimes: loss, dimensionality and vectors against data-set size T"
    caption = _caption(loss, dimension, vector, table.attrs["n"])
    figure = look.page(WIDTH, 8.2, title, table.attrs["setting"], caption)
    outer = figure.add_gridspec(2, 1, height_ratios=[5.2, 3.0])
    upper = outer[0].subgridspec(2, 1, height_ratios=[2, 2.6])
    top = figure.add_subplot(upper[0])
    middle = figure.add_subplot(upper[1], sharex=top)
    look.dress(top, grid="y")
    line(top, "T", loss, color=INK, gid="median")
    several = loss["runs"].max() > 1
    if several:
        top.plot(loss["T"], loss["mean"], gid="mean", **MEAN)
    loss_axis([top], drawn(loss), count=9)
    crosses(top, "T", loss)
    draw_dimensions(middle, dimension, 2.0, T, lowest(dimension))
    middle.set_ylim(bottom=0.28 * lowest(dimension))
    foot = np.full(len(columns), 0.03)
    across = middle.get_xaxis_transform()
    middle.plot(columns, foot, transform=across, gid="columns", clip_on=False, zorder=5, **MARK)
    top.set_ylabel("test loss")
    middle.set_ylabel("dimensionality D")
    middle.set_xlabel("training samples T")
    top.tick_params(labelbottom=False)
    look.log_ticks(middle.xaxis, T, WIDTH - 1.2)
    _regimes((top, middle), loss)
    keys: list[Artist] = [Line2D([], [], color=INK, lw=1.5, marker="o", ms=2.8, label=_label(loss))]
    keys += [Line2D([], [], label="mean", **MEAN)] if several else []
    tints = [name for name in TINTS if (loss["regime"] == name).any()]
    keys += [Patch(color=TINTS[name], label=name) for name in tints]
    key_above(top, [*keys, *seed_key(loss)], 18)
    marks = Line2D([], [], label="vectors drawn below", **MARK)
    key_above(middle, [*dimension_key(dimension), marks], 4)
    grid = outer[1].subgridspec(2, len(columns)).subplots(squeeze=False)
    draw_vectors(grid, vector)
    figure.align_ylabels([top, middle])
    return figure


def _label(loss: pd.DataFrame) -> str:
    seeds = int(loss["runs"].max())
    upto = "up to " if loss[["died", "unfinished"]].any(axis=None) else ""
    return f"test loss, median of {upto}{seeds} seeds" if seeds > 1 else "test loss"


def _spans(loss: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Neighbouring T of one regime: its name, and the ends on the T axis."""
    rows = loss.sort_values("T")
    ends = edges(rows["T"].to_numpy(float))
    spans = []
    for name, group in groupby(range(len(rows)), key=lambda i: rows["regime"].iloc[i]):
        index = list(group)
        spans.append((name, float(ends[index[0]]), float(ends[index[-1] + 1])))
    return spans


def _regimes(panels: Sequence[Axes], loss: pd.DataFrame) -> None:
    """The commonest regime: a tint, and its name where there is room."""
    low, high = panels[0].get_xlim()
    for name, start, end in _spans(loss):
        for axes in panels if name else ():
            axes.axvspan(start, end, color=TINTS[name], lw=0, zorder=0, gid=name)
        start, end = max(start, low), min(end, high)
        room = (WIDTH - 1.2) * np.log(end / start) / np.log(high / low)
        if room > 0.085 * len(name):
            how: dict[str, Any] = {"xycoords": panels[0].get_xaxis_transform(), "ha": "center"}
            how |= {"textcoords": "offset points", "size": 8.5, "color": SOFT}
            panels[0].annotate(name, ((start * end) ** 0.5, 1.0), xytext=(0, 4), **how)


def _caption(
    loss: pd.DataFrame, dimension: pd.DataFrame, vector: pd.DataFrame, n: int
) -> list[str]:
    seeds = {axis: vector[axis].iloc[0].item() for axis in SEEDS if axis in vector}
    whose = f" ({describe({axis: int(seed) for axis, seed in seeds.items()})})" if seeds else ""
    late = loss[(loss["T"] >= n / 10) & loss["mean"].notna()]
    peak = peak_words(loss, "m")
    if len(late) and loss["runs"].max() > 1:
        top = late.loc[late["mean"].idxmax()]
        begin = "The" if top["mean"] == loss["mean"].max() else f"From T{NBSP}={NBSP}n/10 on the"
        peak = (
            f"{begin} mean test loss peaks at {top['mean']:.4g} ({describe({'T': int(top['T'])})})."
        )
    return [
        _regime_words(loss),
        peak,
        lost_words(loss),
        *dimension_words(dimension),
        f"Bottom{whose}: each panel on its own scale.",
    ]


def _regime_words(loss: pd.DataFrame) -> str:
    """Up to which T models memorize, and from which on they generalize."""
    spans, words = _spans(loss), []
    if spans[0][0] == "memorizing":
        last = loss.loc[loss["T"] < spans[0][2], "T"].max()
        words.append(f"memorize up to {describe({'T': int(last)})}")
    if spans[-1][0] == "generalizing":
        first = loss.loc[loss["T"] > spans[-1][1], "T"].min()
        words.append(f"generalize from {describe({'T': int(first)})}")
    who = "Most seeds" if loss["runs"].max() > 1 else "Models"
    return f"{who} {' and '.join(words)}." if words else ""


REGIMES = FigureSpec(
    "regimes",
    regimes_table,
    _draw,
    "test loss, dimensionalities and vectors against T on one page, m = 2",
    applies,
    NEEDS,
    {**DIMENSIONALITIES, **ARRAYS},
)
