"""Is the middle an optimization failure: which kind of solution has the lowest training loss."""

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
from superpos_jax.drawing.lines import crosses, drawn, line, lost_words, seed_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import GREEN, INK, SOFT
from superpos_jax.engine.verdicts import FAILED, UNFINISHED
from superpos_jax.results.runs import axes
from superpos_jax.studies.double_descent.criteria import crossing, margin, pooled, squash
from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis, seed_key
from superpos_jax.studies.double_descent.figures.selection import (
    FEATURE,
    SAMPLE,
    from_words,
    narrow,
    tidy,
)
from superpos_jax.studies.double_descent.labels import LABELS, describe
from superpos_jax.text import counted

STARTS = ("lr", "reduction", "init_seed")
"""What trainings on one data set may differ in: axes over which the lowest loss is sought."""

KINDS = {
    "regime": {"memorizing": SAMPLE, "middle": SOFT, "generalizing": FEATURE},
    "test_loss": {"test loss ≥ 1": SAMPLE, "test loss < 1": FEATURE},
}
"""Ways to tell solutions apart; the last kind of each generalizes."""

USUAL = GREEN
LOWEST: dict[str, Any] = {"color": INK, "lw": 1.1}
"""The solution with the lowest training loss of all."""
MARKS: dict[str, dict[str, Any]] = {
    "best": {"color": INK, "lw": 1.0, "ls": (0, (1, 1.5))},
    "usual": {"color": USUAL, "lw": 1.0, "ls": (0, (1, 1.5))},
}
"""Lines at the T from which on the winner and the usual training generalize."""


NEEDS = Needs(swept=("T",), one_of=STARTS)


def applies(dataset: xr.Dataset) -> str | None:
    """None if solutions of several trainings can be compared over T, else why not."""
    return missing(dataset, "optima", ("train_loss", "test_loss", "regime"), NEEDS)


def optima_table(result: Result, split: str = "regime", **select: Any) -> pd.DataFrame:
    """The numbers of `optima`: one row per kind of solution, T of the usual training, or crossover.

    Columns: part, split ("regime" or "test_loss": how solutions are told apart), kind, T, and the
    value of every other swept axis. Both splits are in the table, the drawn one first.

    Rows of part "best": cells (trainings that ended so), train_loss (their lowest, NaN without
    any), gap (to the lowest of all kinds), wins, and of that training test_loss, lr, reduction
    and init_seed, as far as they are swept. Rows of part "usual": the trainings at the first lr
    and reduction: runs, died, unfinished (over all trainings of this T), share (of them that
    generalize), and median, min, q25, q75, max of their test loss. Rows of part "crossover",
    absent while trainings are unfinished: under T, where the winner (kind "best") and the usual
    training (kind "usual") generalize for good, interpolated in log T between the swept T `below`
    and `above` (0: at all T, infinity: not at the last; halfway where a kind is missing).
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    if split not in KINDS:
        raise ValueError(f'split is "regime" or "test_loss", not {split!r}')
    dataset, taken = narrow(result.dataset, ("T",), select, pool=STARTS)
    starts = [axis for axis in STARTS if axis in axes(result.dataset)]
    names = ["train_loss", "test_loss", "regime", "verdict"]
    cells = dataset[names].to_dataframe().reset_index()[["T", *starts, *names]]
    cells = cells.astype({"train_loss": float, "test_loss": float})
    first = {axis: dataset[axis].values[0] for axis in starts if axis != "init_seed"}
    cells["usual"] = np.all([cells[axis] == value for axis, value in first.items()], axis=0)
    cells["trained"] = ~cells["verdict"].isin([*FAILED, UNFINISHED])
    frames = []
    for way in sorted(KINDS, key=lambda way: way != split):
        rows = _split(cells, way, starts, first)
        frames.append(pd.DataFrame(rows).assign(split=way))
    table = tidy(result, pd.concat(frames, ignore_index=True), taken)
    table.attrs["split"] = split
    return table


def _split(
    cells: pd.DataFrame, way: str, starts: list[str], first: dict[str, Any]
) -> list[dict[str, Any]]:
    """All rows of one way to tell solutions apart."""
    kinds = list(KINDS[way])
    code = cells["regime"] if way == "regime" else (cells["test_loss"] < 1).astype(int)
    rows: list[dict[str, Any]] = []
    ahead, usually = [], []
    for T, here in cells.groupby("T"):
        best = []
        trained = here[here["trained"]]
        for number, kind in enumerate(kinds):
            of = trained[code[trained.index] == number]
            row = {"part": "best", "kind": kind, "T": T, "cells": len(of)}
            row |= {"train_loss": np.nan, "test_loss": np.nan}
            if len(of):
                row |= of.loc[of["train_loss"].idxmin(), ["train_loss", "test_loss", *starts]]
            best.append(row)
        losses = np.array([row["train_loss"] for row in best])
        lowest = losses[np.isfinite(losses)].min(initial=np.inf)
        for row, loss in zip(best, losses, strict=True):
            row |= {"gap": loss - lowest, "wins": loss == lowest}
        usual = here[here["usual"]]
        generalize = code[usual.index[usual["trained"]]] == len(kinds) - 1
        middle = pooled(usual["test_loss"].to_numpy(), usual["trained"].to_numpy())
        share = float(generalize.mean()) if len(generalize) else float("nan")
        counts = {"runs": len(usual), "died": here["verdict"].isin(FAILED).sum()}
        counts |= {"unfinished": (here["verdict"] == UNFINISHED).sum(), "share": share}
        rows += [*best, {"part": "usual", "kind": "usual", "T": T, **first, **counts, **middle}]
        last = code[trained.index] == len(kinds) - 1
        ahead.append(margin(trained["train_loss"].to_numpy(), last.to_numpy()))
        usually.append(share - 0.5 if way == "regime" else -float(squash(middle["median"])))
    if not (cells["verdict"] == UNFINISHED).any():
        sizes = np.unique(cells["T"]).astype(float)
        for kind, lead in (("best", ahead), ("usual", usually)):
            at = crossing(sizes, np.array(lead))
            row = {"part": "crossover", "kind": kind, "T": at}
            if 0 < at < np.inf:
                row |= {"below": sizes[sizes <= at].max(), "above": sizes[sizes >= at].min()}
            rows.append(row)
    return rows


def optima(result: Result, split: str = "regime", **select: Any) -> Figure:
    """The lowest training loss of each kind of solution against T (figure A1).

    At every T all trainings on one data set compete: learning rates, reductions of the loss and
    initial weights. Above: the lowest training loss of memorizing, middle and generalizing
    solutions; then how far each is above the lowest of all; below: the test loss of the
    winner beside that of the usual training, at the first lr and reduction. If the usual training
    generalizes only beyond the T at which a generalizing solution wins, the middle is an
    optimization failure.

    Arguments:
        result: a result that sweeps T and lr, reduction or init_seed.
        split: how solutions are told apart, "regime" or "test_loss" (below 1 generalizes).
        select: values of other swept axes (the first by default), or lists that restrict T, lr,
            reduction or init_seed.

    Returns a Figure. Raises ValueError if T, or all of lr, reduction, init_seed, are not swept.

    Example:
        optima(result, split="test_loss").savefig("optima.png")
    """
    return _draw(optima_table(result, split, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    split = table.attrs["split"]
    shown = table[table["split"] == split]
    usual = shown[shown["part"] == "usual"]
    title = "Which solution has the lowest training loss, against data-set size T"
    setting, caption = table.attrs["setting"], _caption(table, split)
    figure = look.page(7.6, 6.6, title, setting, caption, key="side")
    losses, gaps, tests = figure.subplots(3, 1, sharex=True, height_ratios=[2.2, 1.6, 2.4])
    T = np.sort(usual["T"].unique())
    for panel in (losses, gaps, tests):
        look.dress(panel, grid="y")
        panel.set_xscale("log")
        _crossovers(panel, shown, split)
    best = shown[shown["part"] == "best"]
    for kind, colour in KINDS[split].items():
        rows = best[best["kind"] == kind]
        how: dict[str, Any] = {"color": colour, "lw": 1.5, "marker": "o", "ms": 3.6}
        losses.plot(rows["T"], rows["train_loss"], gid=f"loss:{kind}", **how)
        gaps.plot(rows["T"], rows["gap"], gid=f"gap:{kind}", **how)
    lowest = best.groupby("T")["train_loss"].min()
    losses.plot(lowest.index, lowest, gid="lowest", **LOWEST)
    losses.set_ylabel("lowest\ntraining loss")
    gaps.set_yscale("asinh", linear_width=1e-3)
    top = float(best["gap"].max())
    ticks = [tick for tick in (0, 0.001, 0.01, 0.1, 1) if tick < max(2 * top, 0.002)]
    gaps.set_ylim(-3e-4, max(1.3 * top, 0.002) if np.isfinite(top) else 0.002)
    gaps.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    gaps.minorticks_off()
    gaps.set_ylabel("training loss\nabove the lowest")
    _tests(tests, best[best["wins"].astype(bool)], usual, KINDS[split])
    look.log_ticks(tests.xaxis, T, 5.2)
    tests.set_xlabel("training samples T")
    _legend(figure, shown, split)
    figure.align_ylabels()
    return figure


def _tests(axes: Axes, winners: pd.DataFrame, usual: pd.DataFrame, colours: dict[str, str]) -> None:
    """Test loss of the solution with the lowest training loss, and of the usual training."""
    loss_axis([axes], np.append(drawn(usual), winners["test_loss"].to_numpy(float)))
    line(axes, "T", usual, color=USUAL, gid="usual")
    winners = winners.sort_values("T")
    axes.plot(winners["T"], winners["test_loss"], gid="winner", **LOWEST)
    axes.scatter(winners["T"], winners["test_loss"], s=22, c=winners["kind"].map(colours), zorder=4)
    crosses(axes, "T", usual)
    axes.set_ylabel("test loss")


def _crossing(table: pd.DataFrame, kind: str, split: str) -> pd.Series:
    """The row of a crossover; empty, T is NaN, where it is not known."""
    rows = table[(table["part"] == "crossover") & (table["kind"] == kind)]
    rows = rows[rows["split"] == split]
    return rows.iloc[0] if len(rows) else pd.Series({"T": np.nan})


def _crossovers(axes: Axes, table: pd.DataFrame, split: str) -> None:
    for kind, how in MARKS.items():
        if 0 < (at := _crossing(table, kind, split)["T"]) < np.inf:
            axes.axvline(at, gid=f"crossover:{kind}", zorder=1, **how)


def _legend(figure: Figure, table: pd.DataFrame, split: str) -> None:
    dot: dict[str, Any] = {"lw": 1.5, "marker": "o", "ms": 3.6}
    keys: list[Artist] = [
        Line2D([], [], color=colour, label=kind, **dot) for kind, colour in KINDS[split].items()
    ]
    keys.append(Line2D([], [], label="lowest\ntraining loss", **LOWEST))
    usual = "usual training,\nmedian"
    keys.append(Line2D([], [], color=USUAL, label=usual, lw=1.5, marker="o", ms=2.8))
    for kind, word in (("best", "lowest loss"), ("usual", "usual training")):
        if 0 < _crossing(table, kind, split)["T"] < np.inf:
            keys.append(Line2D([], [], label=f"{word}\ngeneralizes", **MARKS[kind]))
    look.page_key(figure, keys + seed_key(table[table["part"] == "usual"]))


def _caption(table: pd.DataFrame, split: str) -> list[str]:
    shown = table[table["split"] == split]
    usual, best = shown[shown["part"] == "usual"], shown[shown["part"] == "best"]
    starts = [axis for axis in STARTS if axis in table]
    many = counted(int(best.groupby("T")["cells"].sum().max()), "training")
    sentences = [
        f"At every T {many} compete, over {', '.join(LABELS.axis(axis) for axis in starts)}.",
        lost_words(usual, "left out"),
    ]
    lowest, median = (_crossing(shown, kind, split) for kind in MARKS)
    if not np.isnan([lowest["T"], median["T"]]).any():
        setting = describe({axis: usual[axis].iloc[0] for axis in starts if axis != "init_seed"})
        name = f"usual training ({setting})" if setting else "usual training"
        text = f"The lowest loss generalizes {from_words(lowest['T'])}, the {name}"
        sentences.append(f"{text} {from_words(median['T'])}.")
        if median["T"] > lowest["T"]:
            sentences.append("In between, the middle is an optimization failure.")
        elif median["T"] < lowest["T"]:
            sentences.append(
                "In between, the usual training misses the lowest loss, which does not generalize."
            )
    return [*sentences, seed_words(usual, "Usual training")]


OPTIMA = FigureSpec(
    "optima",
    optima_table,
    _draw,
    "which kind of solution has the lowest training loss, against T",
    applies,
    NEEDS,
)
