"""Norms of the weights along training, and how far gradient and update point along the weights."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import seed_key, seed_words
from superpos_jax.drawing.scalars import histories
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import fixed
from superpos_jax.studies.grokking.figures import along
from superpos_jax.studies.grokking.optimizer import PERPS

KINDS = {
    "norm": "norm",
    "gradient_cosine": "cosine with −gradient",
    "update_cosine": "cosine with the update",
}
TENSORS = {
    "": (look.INK, "all weights"),
    "_embed": (look.GREEN, "embedding"),
    "_qkv": (look.PINK, "attention"),
    "_W1": (look.BLUE, "W1"),
    "_W2": (look.SKY, "W2"),
    "_W3": (look.GREEN, "W3"),
    "_out": (look.VERMILLION, "output weights"),
}


def applies(dataset: xr.Dataset) -> str | None:
    """None if norms and cosines were recorded, else why not."""
    return along.lacks(dataset, "alignment", tuple(KINDS))


def alignment_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `alignment`, as `along.along` has them; the axis of the lines has one value.

    Quantities: norm, gradient_cosine and update_cosine of all weights and, with its name appended,
    of each tensor that is drawn.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    panels, lines = along.split(result.dataset, select)
    if lines == "arm":
        panels, lines = lines, panels
    if lines is not None and lines not in select:
        select[lines] = along.shown(result.dataset, lines)
    recorded = histories(result.dataset)
    names = [f"{kind}{tensor}" for kind in KINDS for tensor in TENSORS]
    quantities = [name for name in names if name in recorded]
    table = along.along(result, quantities, panels, None, select)
    shared = fixed(result.dataset)
    table.attrs["dropout"] = shared.get("dropout", 0.0)
    table.attrs["decays"] = shared.get("weight_decay") != 0
    table.attrs["perp"] = shared.get("perp") != PERPS.index("none")
    return table


def alignment(result: Result, **select: Any) -> Figure:
    """Norms, and cosines of the weights with gradient and update (figures 4 and 5 of the paper).

    A cosine of 1 is naive loss minimization: the weights grow along themselves, and the logits with
    them. Lines are medians over seeds, bands as in `accuracy`. After Prieto et al., "Grokking at
    the Edge of Numerical Stability" (ICLR 2025).

    Arguments:
        result: of the study grokking; an axis, the arms first, makes columns.
        select: values of other swept axes (by default the largest fraction, the first value of
            others), or lists.

    Returns a Figure. Raises ValueError where norms and cosines were not recorded.

    Example:
        alignment(result, arm=["ce", "perp"]).savefig("alignment.png")
    """
    return _draw(alignment_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    axis = table.attrs["panels"][0]
    headings = along.headings(table) or {None: ""}
    width = max(2.15 * len(headings), 4.2) + look.SIDE
    title = "Weights, and how gradient and update point along them"
    setting = table.attrs["setting"]
    figure = look.page(width, 5.6, title, setting, _caption(table), key="side")
    grid = figure.subplots(len(KINDS), len(headings), squeeze=False, sharex=True, sharey="row")
    for column, (value, heading) in enumerate(headings.items()):
        part = along.where(table, axis, value)
        for panel, kind in zip(grid[:, column], KINDS, strict=True):
            look.dress(panel, grid="y")
            along.steps(panel, table)
            for tensor, (colour, _) in TENSORS.items():
                rows = part[part["quantity"] == f"{kind}{tensor}"]
                along.line(panel, rows, shade=0.12, color=colour, lw=1.2)
        grid[0, column].set_title(heading, loc="left", weight="bold")
        grid[0, column].set_yscale("log")
        look.log_ticks(grid[0, 0].yaxis, look.round_steps(*grid[0, 0].get_ylim()), 1.5)
        grid[-1, column].set_xlabel("training step")
    for panel, words in zip(grid[:, 0], KINDS.values(), strict=True):
        panel.set_ylabel(words)
    drawn = set(table["quantity"])
    keys: list[Artist] = [
        Line2D([], [], color=colour, lw=1.4, label=words)
        for tensor, (colour, words) in TENSORS.items()
        if f"norm{tensor}" in drawn
    ]
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    axis = table.attrs["panels"][0]
    last = table[table["step"] == table["step"].max()]
    parts = []
    for value, text in (along.headings(table) or {None: ""}).items():
        rows = along.where(last, axis, value).set_index("quantity")["median"]
        if "update_cosine_out" in rows:
            parts.append(f"{text}: {rows['update_cosine_out']:z.2f}".removeprefix(": "))
    ends = f"Update cosine of the output weights at the end: {'; '.join(parts)}." if parts else ""
    gradient = [
        "under dropout" if table.attrs["dropout"] else "",
        "before perpGrad" if table.attrs["perp"] else "",
    ]
    kinds = {
        "Gradients": ", ".join(filter(None, gradient)),
        "updates": "with weight decay" if table.attrs["decays"] else "",
    }
    text = "; ".join(f"{name}: {words}" for name, words in kinds.items() if words)
    return [
        seed_words(table) + along.lost(table),
        "A cosine of 1: the weights grow along themselves.",
        f"{text[:1].upper()}{text[1:]}." if text else "",
        ends,
    ]


ALIGNMENT = FigureSpec(
    "alignment", alignment_table, _draw, "norms, and cosines of weights with their updates", applies
)
