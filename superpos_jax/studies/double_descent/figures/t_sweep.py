"""Train and test loss against data-set size: the double descent, one line per m or another axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import crosses, drawn, line, lost_words, seed_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.scalars import distinct, in_words
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK
from superpos_jax.results.runs import axes, failed, fixed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import BUMP, BUMP_FROM, pooled
from superpos_jax.studies.double_descent.figures.loss_scale import (
    ZERO,
    loss_axis,
    loss_text,
    seed_key,
)
from superpos_jax.studies.double_descent.figures.plane import ridge
from superpos_jax.studies.double_descent.figures.selection import ERROR, narrow, sample_errors, tidy
from superpos_jax.studies.double_descent.labels import LABELS, SEEDS, describe
from superpos_jax.text import NBSP

NEEDS = Needs(swept=("T",))


def applies(dataset: xr.Dataset) -> str | None:
    """None if losses can be drawn against T, else why not."""
    return missing(dataset, "t_sweep", ("train_loss", "test_loss"), NEEDS)


def against_T(
    dataset: xr.Dataset, by: str, column: str, variables: Mapping[str, xr.DataArray]
) -> pd.DataFrame:
    """Seeds summarised: one row per value of `by`, T and variable, whose name is in `column`.

    Columns: by, T, column, runs, died, unfinished, min, q25, median, q75, max, mean.
    """
    keep = (by, "T")
    died, training = failed(dataset, keep), unfinished(dataset, keep)
    rows = []
    for name, variable in variables.items():
        values = runs(variable, keep)
        for i, value in enumerate(dataset[by].values):
            for j, T in enumerate(dataset["T"].values):
                alive = values[i, j][~died[i, j] & np.isfinite(values[i, j])].astype(float)
                row = {by: value, "T": T, column: name}
                row |= {"runs": died.shape[2], "died": int(died[i, j].sum())}
                row |= {"unfinished": int(training[i, j].sum())}
                row |= pooled(values[i, j], ~died[i, j])
                rows.append(row | {"mean": alive.mean() if len(alive) else np.nan})
    return pd.DataFrame(rows)


def t_sweep_table(result: Result, by: str | None = None, **select: Any) -> pd.DataFrame:
    """The numbers of `t_sweep`: one row per (line, T, split), seeds summarised.

    Columns: the axis that the lines are by (`m`, `weight_decay`, ...), T, split ("train" or
    "test"), runs, died, unfinished (seeds still training: their losses are those so far), median,
    mean, min, q25, q75, max over the surviving seeds (NaN where none), test_loss_error (what test
    samples leave in one run's test loss, where they were drawn several times), m, and the value of
    every other swept axis. Losses are in units where the zero predictor scores 1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    by = _line_axis(result.dataset, select) if by is None else by
    if by not in {"m", *axes(result.dataset)} - {"T", *SEEDS}:
        raise ValueError(f"by = {by!r} is not a swept axis, or it is one that the figure pools")
    dataset, taken = narrow(result.dataset, (by, "T"), select)
    shared = fixed(result.dataset)
    losses = {split: dataset[f"{split}_loss"] for split in ("test", "train")}
    frame = against_T(dataset, by, "split", losses)
    for name, errors in sample_errors(dataset, (by, "T")).items():
        frame.loc[frame["split"] == "test", name] = errors.ravel()
    if by != "m" and "m" in shared:
        taken = {"m": shared["m"], **taken}
    frame = tidy(result, frame, taken)
    frame.attrs |= {"by": by, "n": shared.get("n", 0)}
    return frame


def _line_axis(dataset: xr.Dataset, select: Mapping[str, Any]) -> str:
    """m if several of its values are shown, else the first other axis of which that is true."""
    for axis in ("m", *axes(dataset)):
        held = dataset[axis].values if axis in axes(dataset) else ()
        if axis not in ("T", *SEEDS) and np.size(select.get(axis, held)) > 1:
            return axis
    return "m"


def t_sweep(result: Result, by: str | None = None, **select: Any) -> Figure:
    """Train and test loss against T, a line per m (figure P3, top, of the study).

    Where m has one value the lines are by the first other swept axis: weight decay (figure P6),
    steps (P7), eps, S, ... Lines are medians over seeds; bands reach from the smallest to the
    largest seed, or over the middle half of them from 8 seeds on. The test loss is drawn on the
    scale asinh((loss - 1) / 0.01), linear within 1 % of the zero predictor and logarithmic beyond.

    Arguments:
        result: a result that sweeps T, and another axis or not; seed axes are pooled.
        by: the axis that the lines are by, e.g. "weight_decay".
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T, a seed axis or the axis of the lines.

    Returns a Figure. Raises ValueError if T is not swept, or `by` is not.

    Example:
        t_sweep(result, m=[2, 4]).savefig("t_sweep.png")
    """
    return _draw(t_sweep_table(result, by, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    by = table.attrs["by"]
    values = distinct(table, by)  # names as the sweep has them
    colours = look.shades(len(values)) if len(values) > 1 else [INK]
    title = "Train and test loss against data-set size T"
    title += f", by {LABELS.axis(by)}" if by != "m" else ""
    labels = [describe({by: value.item()}) for value in values]
    body = max(4.7, 0.195 * len(values) + 1.0)
    room = look.side_room(labels)
    setting, caption = table.attrs["setting"], _caption(table)
    figure = look.page(6.2 + room, body, title, setting, caption, key="side", room=room)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for panel, split in ((top, "test"), (bottom, "train")):
        look.dress(panel, grid="y")
        rows = table[table["split"] == split]
        for value, colour in zip(values, colours, strict=True):
            here = rows[rows[by] == value]
            line(panel, "T", here, color=colour, label=f"{by}={in_words(value.item())}")
            if split == "test" and _has_bars(table):
                bars = here["median"] + 2 * here[ERROR], here["median"] - 2 * here[ERROR]
                panel.vlines(here["T"], *bars, color=colour, lw=1.2, gid="test-samples")
        panel.set_ylabel(f"{split} loss")
    test, train = (table[table["split"] == split] for split in ("test", "train"))
    loss_axis([top], drawn(test), count=13)
    bottom.axhline(1.0, gid="zero-predictor", **ZERO)
    bottom.set_ylim(-0.04, max(1.08, 1.05 * drawn(train).max(initial=0.0)))
    bottom.set(xscale="log", xlabel="training samples T")
    look.log_ticks(bottom.xaxis, table["T"].unique(), 5.4)
    crosses(top, "T", test)
    keys: list[Artist] = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=label)
        for label, colour in zip(labels[::-1], colours[::-1], strict=True)
    ]
    look.page_key(figure, [*keys, *seed_key(test)])
    figure.align_ylabels()
    return figure


def _has_bars(table: pd.DataFrame) -> bool:
    """Whether the error of test samples is drawn: where there are no seeds to show a spread."""
    return ERROR in table and table["runs"].max() == 1


def peak_words(table: pd.DataFrame, by: str, n: int = 0) -> str:
    """Where the largest median test loss lies, of the first and of the last line.

    From T = n/10 on, as bumps are told everywhere, if all lines have such T.
    """
    drawn_rows = table[table["median"].notna()]
    late, begin = drawn_rows[drawn_rows["T"] >= BUMP_FROM * n], " The"
    if len(late) < len(drawn_rows) and set(late[by]) == set(drawn_rows[by]):
        drawn_rows, begin = late, " From T = n/10 on the"
    tops = drawn_rows.loc[drawn_rows.groupby(by, sort=False)["median"].idxmax()]
    if tops.empty:
        return ""
    middle = "median " if table["runs"].max() > 1 else ""
    places = [f"{loss_text(row['median'])} at T = {int(row['T']):,}" for _, row in tops.iterrows()]
    names = [describe({by: value}) for value in tops[by].tolist()]
    text = f"{begin} largest {middle}test loss is {places[0]}"
    if len(tops) > 1:
        text += f" for {names[0]}, and {places[-1]} for {names[-1]}"
    return text.replace(" = ", f"{NBSP}={NBSP}") + "."


def _caption(table: pd.DataFrame) -> list[str]:
    by = table.attrs["by"]
    test = table[table["split"] == "test"]
    bumps = falls = True  # of all lines
    for _, rows in test.sort_values("T").groupby(by):
        median = rows["median"].to_numpy(float)
        top = ridge(median)
        bumps &= top is not None and median[top] > 1 + BUMP
        falls &= bumps and bool((median[top:] < 1).any())
    shape = ""
    if bumps:
        shape = "The test loss peaks above 1, the loss of predicting zero"
        shape += ", before it falls below 1." if falls else "."
    bars = " Bars: two standard errors of its test samples." if _has_bars(table) else ""
    seeds = seed_words(test) + bars
    return [seeds, shape, lost_words(test), peak_words(test, by, table.attrs["n"])]


T_SWEEP = FigureSpec(
    "t_sweep",
    t_sweep_table,
    _draw,
    "train and test loss against T, a line per m or another swept axis",
    applies,
    NEEDS,
)
