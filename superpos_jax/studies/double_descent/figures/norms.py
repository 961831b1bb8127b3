"""Vectors on one common scale above the norms of W and b against data-set size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import crosses, drawn, line, lost_words, seed_key, seed_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.pages import key_above, stack
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK
from superpos_jax.results.runs import axes
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy
from superpos_jax.studies.double_descent.figures.t_sweep import against_T
from superpos_jax.studies.double_descent.figures.vector_panels import (
    ARRAYS,
    at_m2,
    draw_vectors,
    lacks_weights,
    one_seed,
)
from superpos_jax.studies.double_descent.figures.vectors import vectors_table
from superpos_jax.studies.double_descent.labels import SEEDS, describe
from superpos_jax.text import NBSP

LABELS = {"W_norm": "Frobenius norm ‖W‖", "b_norm": "Euclidean norm ‖b‖"}


NEEDS = Needs(swept=("T",), holds={"m": 2})


def applies(dataset: xr.Dataset) -> str | None:
    """None if the page can be drawn, else why not."""
    return missing(dataset, "norms", tuple(LABELS), NEEDS) or lacks_weights(dataset, "norms")


def norms_table(result: Result, at: Sequence[int] | None = None, **select: Any) -> pd.DataFrame:
    """The numbers of `norms`: the norms, and below them the vectors.

    Columns: part, T, and by part: "norm" has reduction (or m, where it is not swept), norm
    ("W_norm" or "b_norm"), runs, died, unfinished, median, mean, min, q25, q75, max over the
    surviving seeds; "vector" has the columns of `vectors_table`, with the seed. A column that a
    part does not have is empty there. Last the value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    wanted = at_m2(result.dataset, "norms", select)
    by = "reduction" if "reduction" in axes(result.dataset) else "m"
    dataset, taken = narrow(result.dataset, (by, "T"), wanted)
    norm = against_T(dataset, by, "norm", {name: dataset[name] for name in LABELS})
    where = one_seed(result.dataset, wanted, at, single="reduction")
    vectors = vectors_table(result, scale="common", **where)
    frame = tidy(result, stack({"norm": norm, "vector": vectors}), {"m": 2, **taken})
    frame.attrs["by"] = by
    return frame


def norms(result: Result, at: Sequence[int] | None = None, **select: Any) -> Figure:
    """Vectors on one scale, and the norms of W and b against T, m = 2 (figure P4 of the study).

        ‖W‖ = (sum_ij W_ij^2)^1/2,   ‖b‖ = (sum_i b_i^2)^1/2

    A row of vectors shares one scale, so that lengths compare. Lines are medians over seeds, bands
    as in `t_sweep`; a line per loss reduction where it is swept. After Henighan et al.,
    "Superposition, Memorization, and Double Descent" (2023).

    Arguments:
        result: a result that sweeps T and holds m = 2 with its weights; seeds are pooled in the
            norms, the vectors are those of the first seed and the first reduction.
        at: the T of the vectors; 8 spread over the swept T by default.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T, the reduction or a seed axis.

    Returns a Figure. Raises ValueError without T swept, m = 2 or W.

    Example:
        norms(result, at=[3, 5, 30, 5000]).savefig("norms.png")
    """
    return _draw(norms_table(result, at, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    by = table.attrs["by"]
    norm, vector = (table[table["part"] == part] for part in ("norm", "vector"))
    columns = vector["T"].nunique()
    width = max(1.42 * columns + 0.75, 8.4)
    title = "Lengths of the vectors, and norms of W and b, against data-set size T"
    figure = look.page(width, 6.5, title, table.attrs["setting"], _caption(norm, vector, by))
    outer = figure.add_gridspec(3, 1, height_ratios=[3.35, 0.15, 3.0])
    draw_vectors(outer[0].subgridspec(2, columns).subplots(squeeze=False), vector)
    values = sorted(norm[by].unique().tolist())
    colours = look.shades(len(values)) if len(values) > 1 else [INK]
    panels = outer[2].subgridspec(1, 2).subplots(squeeze=False)[0]
    for panel, name in zip(panels, LABELS, strict=True):
        rows = norm[norm["norm"] == name]
        for value, colour in zip(values, colours, strict=True):
            here = rows[rows[by] == value]
            line(panel, "T", here, color=colour, label=_name(norm, by, value))
        _axes(panel, rows, width / 2 - 0.9)
        crosses(panel, "T", rows)
        panel.set_ylabel(LABELS[name])
    keys: list[Artist] = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=_name(norm, by, value))
        for value, colour in zip(values, colours, strict=True)
    ]
    key_above(panels[0], [*keys, *seed_key(norm)], 6)
    return figure


def _name(norm: pd.DataFrame, by: str, value: float) -> str:
    """What a line is, for the legend."""
    seeds = int(norm["runs"].max())
    what = f"median of {seeds} seeds" if seeds > 1 else "one seed"
    return what if norm[by].nunique() == 1 else describe({by: value})


def _axes(panel: Axes, rows: pd.DataFrame, inches: float) -> None:
    look.dress(panel, grid="y")
    norms = drawn(rows)
    norms = norms[norms > 0] if (norms > 0).any() else np.array([1.0])
    low, high = norms.min() / 1.25, norms.max() * 1.25
    # Limits come first: norms that are all 0 leave a logarithmic axis nothing to choose from.
    panel.set(ylim=(low, high), xscale="log", yscale="log", xlabel="training samples T")
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = np.array([d * 10.0**e for e in powers for d in (1, 2, 3, 5)])
    look.log_ticks(panel.yaxis, ticks[(ticks >= low) & (ticks <= high)], 2.0)
    look.log_ticks(panel.xaxis, rows["T"].unique(), inches)


def _caption(norm: pd.DataFrame, vector: pd.DataFrame, by: str) -> list[str]:
    seeds = {axis: int(vector[axis].iloc[0]) for axis in SEEDS if axis in vector}
    first = {"reduction": float(vector["reduction"].iloc[0])} if by == "reduction" else {}
    whose = f" ({describe(first | seeds)})" if first or seeds else ""
    sentences = [f"Above: one model per column{whose}; one scale per row."]
    sentences.append(f"Below: {seed_words(norm)}")
    sentences.append(lost_words(norm[norm["norm"] == "W_norm"]))
    middle = "Largest median" if norm["runs"].max() > 1 else "Largest"
    for value, rows in norm.groupby(by):
        peaks = [_peak(rows[rows["norm"] == name]) for name in LABELS]
        if None not in peaks:
            name = f", {describe({by: value})}" if norm[by].nunique() > 1 else ""
            sentences.append(f"{middle} norms{name}: ‖W‖ {peaks[0]}, ‖b‖ {peaks[1]}.")
    return sentences


def _peak(rows: pd.DataFrame) -> str | None:
    """The largest median and where it lies."""
    medians = rows[rows["median"].notna()]
    if medians.empty:
        return None
    top = medians.loc[medians["median"].idxmax()]
    return f"{top['median']:.3g} at T = {top['T']:,}".replace(" = ", f"{NBSP}={NBSP}")


NORMS = FigureSpec(
    "norms",
    norms_table,
    _draw,
    "vectors on one common scale, and norms of W and b against T, m = 2",
    applies,
    NEEDS,
    ARRAYS,
)
