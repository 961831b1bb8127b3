"""Collapse along training: how many samples have lost their loss, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax.drawing import style as look
from superpos_jax.drawing.curves import line_looks
from superpos_jax.drawing.lines import seed_key, seed_words
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import fixed, runs
from superpos_jax.studies.grokking.figures import along

QUANTITIES = {
    "train_collapsed": "share of samples collapsed",
    "train_loss": "train loss",
    "gradient_cosine_out": "cosine of output weights and −gradient",
    "test_accuracy": "test accuracy",
}
FIRST = "t_sc"
"""The first step at which half of the samples had collapsed."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if collapse was recorded, else why not."""
    return along.lacks(dataset, "collapse", tuple(QUANTITIES))


def collapse_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `collapse`, as `along.along` has them; the axis of the panels has one value.

    Quantities: train_collapsed (of training samples, the share whose softmax sum is 1 at the bits
    of the cell), train_loss, gradient_cosine_out (of the output weights with the negative
    gradient), test_accuracy.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    panels, lines = along.split(result.dataset, select)
    if lines is None:
        panels, lines = None, panels
    elif panels is not None and panels not in select:
        select[panels] = along.shown(result.dataset, panels)
    table = along.along(result, tuple(QUANTITIES), None, lines, select)
    table.attrs["first"] = _first(result, table, lines, select)
    every = fixed(result.dataset).get("look_every", 1)
    precise = f" (looked at every {every})" if every > 1 else ""
    table.attrs["looked"] = precise if FIRST in result.dataset else " (recorded)"
    return table


def _first(
    result: Result, table: pd.DataFrame, lines: str | None, select: dict[str, Any]
) -> dict[Any, float]:
    """When half of the samples first collapsed, by line: the median of seeds, infinite for never.

    Cells that are not trained to their end have no first times: of these the recorded step at which
    the median of seeds is at half.
    """
    values = list(table.attrs["lines"][1]) or [None]
    if FIRST not in result.dataset:
        gone = table[(table["quantity"] == "train_collapsed") & (table["median"] >= 0.5)]
        own = (along.where(gone, lines, value)["step"] for value in values)
        return {v: float(steps.min(skipna=False)) for v, steps in zip(values, own, strict=True)}
    keep = (lines,) if lines else ()
    dataset, _ = narrow(result.dataset, keep, select | dict.fromkeys(keep, values))
    times = np.nan_to_num(runs(dataset[FIRST], keep), nan=np.inf).reshape(len(values), -1)
    held = dataset[lines].values.tolist() if lines else values
    return dict(zip(held, np.median(times, axis=1).tolist(), strict=True))


def collapse(result: Result, **select: Any) -> Figure:
    """Softmax collapse along training, a line for each precision or arm (figure 2 of the paper).

    A sample has collapsed where the sum of its softmax is 1 at the precision of its loss. Where its
    class is right its loss is then 0, and so is the gradient of that class. Lines are medians over
    seeds, bands as in `accuracy`. After Prieto et al., "Grokking at the Edge of Numerical
    Stability" (ICLR 2025).

    Arguments:
        result: of the study grokking.
        select: values of other swept axes (by default the largest fraction, the first value of
            others), or lists.

    Returns a Figure. Raises ValueError where collapse was not recorded.

    Example:
        collapse(result, fraction=0.7).savefig("collapse.png")
    """
    return _draw(collapse_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    lines, texts = table.attrs["lines"]
    room = look.side_room([*texts.values(), table.attrs["lines_name"]])
    title = "Softmax collapse along training"
    setting = table.attrs["setting"]
    figure = look.page(6.4 + room, 4.7, title, setting, _caption(table), key="side", room=room)
    grid = figure.subplots(2, 2, sharex=True)
    looks = line_looks(np.array(list(texts))) if texts else [{"color": look.VERMILLION}]
    for panel, (quantity, words) in zip(grid.flat, QUANTITIES.items(), strict=True):
        look.dress(panel, grid="y")
        along.steps(panel, table)
        part = table[table["quantity"] == quantity]
        for value, how, drawn in zip(texts or [None], looks, _overlaid(len(looks)), strict=True):
            along.line(panel, along.where(part, lines, value), color=how["color"], **drawn)
        panel.set_title(words, loc="left")
        if quantity == "train_loss":
            panel.set_yscale("log")
            # A loss of 0 has no place there: it is at the foot, and leaves the axis to the others.
            positive = part.loc[part["median"] > 0, "median"]
            panel.set_ylim(max(positive.min(), 1e-36) / 3, positive.max() * 3)
        else:
            panel.set_ylim(min(-0.04, part["min"].min() - 0.04), 1.04)
    for panel in grid[1]:
        panel.set_xlabel("training step")
    dashed = [how | drawn for how, drawn in zip(looks, _overlaid(len(looks)), strict=True)]
    keys = along.line_keys(table, dashed) if texts else []
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _overlaid(count: int) -> list[dict[str, Any]]:
    """Widths and dashes of lines that may lie on each other: all of them can be seen."""
    dashes = ["-", (0, (4, 2)), (0, (1.5, 1.5))]
    widths = np.linspace(2.6, 1.4, count)
    return [{"lw": width, "ls": dashes[i % 3]} for i, width in enumerate(widths.tolist())]


def _caption(table: pd.DataFrame) -> list[str]:
    texts = table.attrs["lines"][1]
    parts = []
    for value, text in (texts or {None: ""}).items():
        first = table.attrs["first"][value]
        when = f"at {first:,.0f}" if np.isfinite(first) else "never"
        parts.append(f"{text.partition(' (')[0]} {when}".strip())
    return [
        seed_words(table) + along.lost(table),
        "Collapsed: softmax sum 1 at the bits of the loss, which is then 0 if the class is right.",
        f"Half collapsed, by step{table.attrs['looked']}: {'; '.join(parts)}.",
    ]


COLLAPSE = FigureSpec(
    "collapse",
    collapse_table,
    _draw,
    "softmax collapse, loss and alignment along training",
    applies,
)
