"""Dimensionalities and losses along training, and the final vectors, for a few cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import constants, note, square, step_axis
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import GRID, INK, SOFT
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE, UNFINISHED
from superpos_jax.results.runs import axes, fixed
from superpos_jax.studies.double_descent.criteria import CORNER, FORGOTTEN, STANDS_OUT
from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis
from superpos_jax.studies.double_descent.figures.selection import FEATURE, SAMPLE, narrow, tidy
from superpos_jax.studies.double_descent.figures.traces import (
    LINES,
    REPETITION,
    VARIABLES,
    across_axes,
    cell_label,
    chosen_cells,
    final_rows,
    repeated_samples,
    seed_means,
    trace_rows,
)
from superpos_jax.studies.double_descent.figures.vector_panels import ARRAYS
from superpos_jax.studies.double_descent.labels import SEEDS
from superpos_jax.text import counted

RAYS, SHORT = 15, 0.4
"""Vectors longer than a share of the longest are drawn from the origin, if they are so few."""
LOOKS: dict[str, dict[str, Any]] = {
    "kept": {"color": FEATURE, "lw": 1.2, "zorder": 4},
    "forgotten": {"color": FEATURE, "lw": 1.3, "ls": (0, (3, 1.3)), "zorder": 5},
    "never": {"color": FEATURE, "lw": 0.7, "alpha": 0.4, "zorder": 3},
    "repeated": {"color": SAMPLE, "lw": 1.3, "zorder": 4},
    "once": {"color": SAMPLE, "lw": 0.7, "alpha": 0.4, "zorder": 3},
    "test": {"color": INK, "lw": 1.3, "zorder": 3},
    "train": {"color": SOFT, "lw": 1.1, "zorder": 3},
}
ROWS = {"feature": "D of features", "sample": "D of samples", "loss": "loss (dashed: zero output)"}
LABELS = {
    "kept": "learned feature",
    "forgotten": "forgotten feature",
    "repeated": "repeated sample",
    "once": "other samples",
    "test": "test loss",
    "train": "train loss",
}


NEEDS = Needs(options={"trace_dimensions": True})


def applies(dataset: xr.Dataset) -> str | None:
    """None if the history of dimensionalities can be drawn, else why not."""
    losses = ("history_train_loss", "history_test_loss")
    return missing(dataset, "history", (*VARIABLES.values(), *losses), NEEDS)


def history_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `history`: one row per step of a line, or final vector.

    Columns: cell (number of the column), label (its values), kind ("feature", "sample", "loss",
    "feature vector", "hidden vector"), fate (of a feature: "kept", "forgotten", "never" above
    0.1; of a sample: "repeated" or "once"; of a loss: "train" or "test"), index (of the feature or
    sample, -1 for a loss), step, value (D or loss, of the 12 lines with the largest D at any
    time), x, y (of a vector), then numbers of the cell: learned (features that were above 0.1 at
    some step), forgotten (of those, the ones that ended below half of their peak), features and
    samples (those above 0.1 at the end, samples among the repeated ones only), corners (features
    above 0.25 at the end), several (how many samples are in the training set more than once),
    largest (how many of these are among as many samples with the largest D at the end), standing
    ("finished", "died", "unfinished"); where seeds are swept and not the columns, seeds (how many
    are trained to the end) and over these mean_forgotten and mean_corners; T, m, and all swept
    axes.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    swept = axes(result.dataset)
    across = across_axes(result.dataset, select)
    dataset, taken = narrow(result.dataset, across, select, pool=())
    shared = constants(result.dataset, "T", "m", *REPETITION) | taken
    ended = None
    if {*SEEDS} & {*swept} and not {*SEEDS} & {*across}:
        others = {axis: value for axis, value in select.items() if axis not in SEEDS}
        pooled, _ = narrow(result.dataset, across, others)
        ended = pooled.where(pooled["verdict"].isin((FINISHED, DIVERGED)))
    frames = []
    for number, point in enumerate(chosen_cells(dataset, across, shared)):
        here, where = dataset.sel(point), {**shared, **point}
        verdict, count = int(here["verdict"]), repeated_samples(where)
        frame, numbers = trace_rows(here, count)
        if verdict not in (UNFINISHED, NON_FINITE) and where.get("m") == 2 and _stored(here):
            cell = result.cell(**{axis: where[axis] for axis in swept})
            frame = pd.concat([frame, final_rows(cell, count)], ignore_index=True)
        words = {UNFINISHED: "unfinished", NON_FINITE: "died"}
        named = {"cell": number, "label": cell_label(point, count), "several": count}
        named |= {"standing": words.get(verdict, "finished")}
        means = {} if ended is None else seed_means(ended.sel(point))
        frames.append(frame.assign(**named, **numbers, **means, **point))
    table = pd.concat(frames, ignore_index=True)
    if not table["several"].any():
        shared = {name: value for name, value in shared.items() if name not in REPETITION}
    table = tidy(result, table, shared)
    kept = fixed(result.dataset).get("report_samples", np.inf)
    table.attrs["first"] = int(kept) if (table.get("T", pd.Series([0])) > kept).any() else 0
    return table


def _stored(here: xr.Dataset) -> bool:
    return "W" in here and bool(np.isfinite(here["W"].values).any())


def history(result: Result, **select: Any) -> Figure:
    """D_f, D_X and losses along training, and the final vectors (figures J5 and J8 of the study).

    A column is a cell. With repeated samples: a sample that is there often enough takes the place
    of a feature. In the middle regime: features are learned early and forgotten later.

    Arguments:
        result: a result trained with the option trace_dimensions.
        select: a list (`T=[100, 300]`) makes columns of an axis; by default `repeated` and
            `repeats` are columns where they are swept, else the first axis that is not a seed,
            else the seeds. A value (`seed=1`) fixes an axis, the first by default.

    Returns a Figure, of at most 6 columns; vectors only at m = 2 where W is stored. Raises
    ValueError without the history of dimensionalities.

    Example:
        history(result, T=[100, 200, 400], seed=2).savefig("history.png")
    """
    return _draw(history_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    cells = sorted(table["cell"].unique())
    vectors = table["kind"].isin(("feature vector", "hidden vector")).any()
    title = "Along training: features, samples and losses"
    width = max(2.15 * len(cells) + 0.9, 8.2)
    side = (width - 0.9) / len(cells) - 0.25
    heights = [1.75, 1.75, 1.75] + ([min(side, 3.0)] if vectors else [])
    body = sum(heights) + 1.15 + 0.15 * table["label"].str.count("\n").max()
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key="top")
    grid = figure.subplots(len(heights), len(cells), squeeze=False, height_ratios=heights)
    traces = table[(table["step"] > 0) & table["value"].notna()]
    ends = (traces["step"].min(), traces["step"].max()) if len(traces) else (1.0, 10.0)
    for column, number in enumerate(cells):
        here = table[table["cell"] == number]
        grid[0, column].set_title(here["label"].iloc[0], weight="bold", linespacing=1.3)
        for row, kind in enumerate(ROWS):
            panel = grid[row, column]
            look.dress(panel, grid="y")
            step_axis(panel, *ends)
            rows = traces[(traces["cell"] == number) & (traces["kind"] == kind)]
            _traces(panel, rows)
            panel.tick_params(labelbottom=row == 2, labelleft=column == 0)
        note(grid[0, column], _found(here.iloc[0], "feature"))
        note(grid[1, column], _found(here.iloc[0], "sample"))
        grid[2, column].set_xlabel("training step")
        if vectors:
            _plane(grid[3, column], here)
    for row, (kind, name) in enumerate(ROWS.items()):
        _scale(grid[row], traces.loc[traces["kind"] == kind, "value"], kind)
        grid[row, 0].set_ylabel(name)
    if vectors:
        grid[3, 0].set_ylabel("final vectors")
    drawn = [fate for fate in LABELS if (table["fate"] == fate).any()]
    names = LABELS if "repeated" in drawn else LABELS | {"once": "samples"}
    look.page_key(figure, [Line2D([], [], label=names[fate], **LOOKS[fate]) for fate in drawn])
    figure.align_ylabels(grid[:3, 0])
    return figure


def _traces(panel: Axes, rows: pd.DataFrame) -> None:
    for (fate, _), line in rows.groupby(["fate", "index"]):
        panel.plot(line["step"], line["value"], gid=fate, **LOOKS[str(fate)])
        if fate == "forgotten":
            top = line.loc[line["value"].idxmax()]
            ring: dict[str, Any] = {"marker": "o", "mfc": "white", "mec": FEATURE, "ms": 4}
            panel.plot(top["step"], top["value"], ls="none", zorder=6, gid="peak", **ring)


def _scale(panels: np.ndarray, values: pd.Series, kind: str) -> None:
    """One scale a row: D from 0, losses stretched around 1."""
    if kind == "loss":
        loss_axis(panels, values.to_numpy(), count=7)
        return
    high = max(float(values.max()) if len(values) else 0.0, 1.4 * STANDS_OUT)
    for panel in panels:
        panel.set_ylim(-0.03 * high, 1.35 * high)
        for level in (STANDS_OUT, CORNER)[: 2 if kind == "feature" else 1]:
            panel.axhline(level, color=SOFT, lw=0.7, ls=(0, (1, 2)), zorder=1)


def _found(cell: pd.Series, kind: str) -> list[str]:
    """What the features, or the repeated samples, of one cell came to."""
    if kind == "feature":
        ends = f"{cell['corners']} end above {CORNER:g}, {cell['features']} above {STANDS_OUT:g}"
        return [ends, f"{cell['forgotten']} forgotten"]
    if not (several := cell["several"]):
        return []
    rank = f"{cell['largest']} among the {several} largest"
    if several == 1:
        rank = "the largest one" if cell["largest"] else "not the largest one"
    return [rank]


def _plane(panel: Axes, here: pd.DataFrame) -> None:
    """The final vectors of one cell, features and hidden vectors on one scale."""
    points = here[here["x"].notna()]
    length = np.hypot(points["x"], points["y"])
    square(panel, 1.08 * float(length.max()) if len(points) else 1.0)
    if points.empty:
        words = {"died": "not finite", "unfinished": "not trained yet"}
        text = words.get(here["standing"].iloc[0], "not stored")
        panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes, size=8)
        return
    for line in (panel.axhline, panel.axvline):
        line(0, color=GRID, lw=0.7, zorder=0)
    looks = (
        ("hidden vector", "once", SAMPLE, 0.4, 4.0),
        ("feature vector", "", FEATURE, 0.9, 7.0),
        ("hidden vector", "repeated", SAMPLE, 0.95, 9.0),
    )
    for kind, fate, colour, alpha, size in looks:
        which = (points["kind"] == kind) & (points["fate"] == fate)
        ends = points.loc[which, ["x", "y"]].to_numpy()
        panel.scatter(
            ends[:, 0], ends[:, 1], s=size, color=colour, alpha=alpha, lw=0, zorder=3, gid=kind
        )
        longest = np.hypot(*ends.T)
        ends = ends[longest > SHORT * longest.max(initial=0.0)]
        if fate != "once" and len(ends) <= RAYS:
            rays = np.stack([np.zeros_like(ends), ends], axis=1)
            panel.add_collection(LineCollection(list(rays), colors=colour, lw=1.0, alpha=0.8))


def _caption(table: pd.DataFrame) -> list[str]:
    cells = table.groupby("cell").first()
    repeats = bool(cells["several"].any())
    sentences = [
        f"Each column is one model: the {LINES} features and samples of largest D at any step;"
        f" dotted: D = {STANDS_OUT:g}, of features also {CORNER:g}.",
    ]
    for word, words in (("died", "became non-finite"), ("unfinished", "not trained to the end")):
        if (number := int((cells["standing"] == word).sum())) > 0:
            sentences.append(f"{counted(number, 'cell')} {words}: drawn so far.")
    if repeats:
        sentences.append("Repeated samples: their rank by D at the end.")
    if not repeats or cells["forgotten"].any():
        sentences.append(f"Forgotten: D ended below {FORGOTTEN:g} of its peak (ring).")
    if first := table.attrs["first"]:
        sentences.append(f"Samples are the first {first:,}.")
    if "seeds" in cells and cells["seeds"].min() > 1:
        least, most = cells["seeds"].min(), cells["seeds"].max()
        several = f"{most}" if least == most else f"{least} to {most}"
        name = "corners" if repeats else "forgotten"
        means = ", ".join(f"{value:.2g}" for value in cells[f"mean_{name}"])
        what = f"end above {CORNER:g}" if repeats else "forgotten"
        sentences.append(f"Means of {several} seeds by column: {means} {what}.")
    return sentences


HISTORY = FigureSpec(
    "history",
    history_table,
    _draw,
    "dimensionalities and losses along training, and final vectors, one column per cell",
    applies,
    NEEDS,
    {VARIABLES["feature"]: 20, VARIABLES["sample"]: 100, **ARRAYS},
)
