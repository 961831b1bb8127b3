"""Dimensionality of a repeated sample along training, at the edge of memorization."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import constants, note, step_axis
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import DEAD, INK, SOFT
from superpos_jax.results.runs import failed, runs, seed_values, unfinished
from superpos_jax.studies.double_descent.criteria import PEAK, outcomes, ranked_on_top
from superpos_jax.studies.double_descent.figures.selection import (
    SAMPLE,
    narrow,
    tidy,
)
from superpos_jax.text import counted

HISTORY = "history_sample_dimensionality"
LOOKS: dict[str, dict[str, Any]] = {
    "other": {"color": DEAD, "lw": 0.9, "alpha": 0.8, "zorder": 2},
    "memorized": {"color": SAMPLE, "lw": 1.2, "alpha": 0.9, "zorder": 3},
    "near miss": {"color": INK, "lw": 1.6, "zorder": 4},
}
LABELS = {"memorized": "memorized", "near miss": "near miss", "other": "neither"}
WORDS = {"memorized": "memorized", "near miss": "nearly", "other": "neither"}
CUT: dict[str, Any] = {"color": SOFT, "lw": 0.9, "ls": (0, (2, 2)), "zorder": 2}
"""How a run looks that has no end to judge it by."""
LEVEL: dict[str, Any] = {"color": SOFT, "lw": 1.0, "ls": (0, (1, 1.5)), "zorder": 1}
"""What a near miss rises above."""


NEEDS = Needs(swept=("repeats",), holds={"repeated": 1}, options={"trace_dimensions": True})


def applies(dataset: xr.Dataset) -> str | None:
    """None if the repeated sample can be followed, else why not."""
    return missing(dataset, "near_misses", (HISTORY,), NEEDS)


def near_misses_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `near_misses`: one row per step of a run.

    Columns: repeats, the seed axes, run (a number), step, dimensionality (D_X of the repeated
    sample), peak and end (of it, over training), outcome ("memorized": at the end above 0.1 or
    among the top 0.1 % of D_X, of all samples if its rank is known, else of the stored ones;
    "near miss": once above 5 m/T, and at the end at most
    half of its peak; "other"; "died" and "unfinished" are not judged), T, m, and the value of
    every other swept axis. A run without a history has one row of NaN.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    wanted = dict(select)
    if "repeated" in result.dataset["verdict"].dims:
        wanted = {"repeated": 1, **select}
    dataset, taken = narrow(result.dataset, ("repeats",), wanted)
    died, training = failed(dataset, ("repeats",)), unfinished(dataset, ("repeats",))
    taken = constants(result.dataset, "T", "m") | taken
    share = taken["m"] / taken["T"]
    histories, steps = runs(dataset[HISTORY], ("repeats",)), dataset["step"].values
    unknown = xr.full_like(dataset["verdict"], -1)
    ranks = runs(dataset.get("repeated_rank", unknown), ("repeats",))
    frames = []
    for i, R in enumerate(dataset["repeats"].values):
        for k, seeds in enumerate(seed_values(dataset)):
            history = histories[i, k]
            recorded = np.isfinite(history[:, 0])
            D = history[recorded, 0].astype(float) if recorded.any() else np.array([np.nan])
            came = "died" if died[i, k] else "unfinished" if training[i, k] else ""
            on_top = ranked_on_top(int(ranks[i, k]), taken["T"])
            came = came or str(outcomes(history[recorded], share, on_top)[0])
            shown = {"step": steps[recorded] if recorded.any() else -1, "dimensionality": D}
            group = {"repeats": R, **seeds, "run": k, "outcome": came}
            frame = pd.DataFrame(shown).assign(**group, peak=D.max(), end=D[-1])
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    first = ["repeats", *seed_values(dataset)[0], "run", "step", "dimensionality"]
    return tidy(result, table[[*first, "peak", "end", "outcome"]], taken)


def near_misses(result: Result, **select: Any) -> Figure:
    """D_X of the repeated sample over training, one line per seed (figure J7 of the study).

    At the edge of memorization the dimensionality of the repeated sample rises early in training
    and falls back: the model nearly memorized it.

    Arguments:
        result: a result that sweeps `repeats` with `repeated` = 1, trained with the option
            trace_dimensions.
        select: values of other swept axes (`T=1000`; the first by default), or lists that
            restrict repeats or a seed axis.

    Returns a Figure, a panel per `repeats`. Raises ValueError without the history of D_X.

    Example:
        near_misses(result, repeats=[2, 3, 4]).savefig("near_misses.png")
    """
    return _draw(near_misses_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    repeats = np.sort(table["repeats"].unique())
    columns = min(len(repeats), 3 if len(repeats) != 4 else 2)
    lines = -(-len(repeats) // columns)
    title = "Near misses: a repeated sample along training"
    width, body = max(2.9 * columns + 0.6, 6.8), 2.2 * lines + 0.4
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key="top")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True)
    rows = table[(table["step"] > 0) & table["dimensionality"].notna()]
    last = float(rows["step"].max()) if len(rows) else 10.0
    top = float(rows["dimensionality"].max()) if len(rows) else 1.0
    level = PEAK * table["m"].iloc[0] / table["T"].iloc[0]
    for index, panel in enumerate(grid.flat):
        if index >= len(repeats):
            panel.set_visible(False)
            continue
        look.dress(panel, grid="y")
        step_axis(panel, 1.0, last)
        panel.set_yscale("log")
        panel.set_ylim(level / 10, 1.5 * max(top, level))
        panel.axhline(level, gid="level", **LEVEL)
        here = table[table["repeats"] == repeats[index]]
        _panel(panel, here)
        panel.set_title(f"repeats = {repeats[index]:,.0f}", loc="left", weight="bold", size=9)
        below = index + columns >= len(repeats)
        panel.tick_params(labelbottom=below)
        if below:
            panel.set_xlabel("training step")
    for panel in grid[:, 0]:
        panel.set_ylabel("dimensionality D")
    shown = [name for name in LABELS if (table["outcome"] == name).any()]
    handles = [Line2D([], [], label=LABELS[name], **LOOKS[name]) for name in shown]
    handles.append(Line2D([], [], label=f"{PEAK:g} m/T", **LEVEL))
    if table["outcome"].isin(("died", "unfinished")).any():
        handles.append(Line2D([], [], label="died, or not trained to the end", **CUT))
    look.page_key(figure, handles)
    return figure


def _panel(panel: Axes, here: pd.DataFrame) -> None:
    """One line per seed; and, at the upper left, how many of each kind."""
    for (_, came), run in here.groupby(["run", "outcome"]):
        run = run[run["step"] > 0]
        D = run["dimensionality"].clip(lower=panel.get_ylim()[0])
        panel.plot(run["step"], D, gid=came, clip_on=False, **LOOKS.get(came, CUT))
    counts = here.groupby("run")["outcome"].first().value_counts()
    lines = [f"{counts[name]} {words}" for name, words in WORDS.items() if name in counts]
    note(panel, lines)


def _caption(table: pd.DataFrame) -> list[str]:
    outcomes_of = table.groupby(["repeats", "run"])["outcome"].first()
    counts = outcomes_of.value_counts()
    done = [counts.get(name, 0) for name in ("memorized", "near miss", "other")]
    sentences = [
        "D of the one repeated sample (repeats, above a panel), one line per seed.",
        f"Near miss: it rose above {PEAK:g} m/T and fell to half of its highest value or less.",
    ]
    for name, words in (
        ("died", "died or diverged"),
        ("unfinished", "not trained to the end"),
        ("unknown", "without a stored history"),
    ):
        if name in counts:
            sentences.append(f"{counted(int(counts[name]), 'run')} {words}: not counted.")
    return [
        *sentences,
        f"Of {counted(sum(done), 'training')} {done[0]} memorized it, {done[1]} nearly did.",
    ]


NEAR_MISSES = FigureSpec(
    "near_misses",
    near_misses_table,
    _draw,
    "dimensionality of a repeated sample along training, one line per seed",
    applies,
    NEEDS,
    {HISTORY: 100},
)
