"""Is double descent robust: test loss against T for other losses and other autoencoders."""

from __future__ import annotations

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
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import GREEN, INK, ORANGE, PINK
from superpos_jax.results.runs import failed, fixed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import BUMP, BUMP_FROM, inner_maximum, pooled
from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis, loss_text, seed_key
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy

KEEP = ("loss", "untied", "relu", "T")
LOSSES = {1: "absolute error", 2: "squared error", 4: "fourth power"}
MODELS: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {
    (0, 0): ("tied, linear", {"color": INK}),
    (0, 1): ("tied, ReLU", {"color": ORANGE, "ls": (0, (4, 1.5)), "marker": "s"}),
    (1, 0): ("untied, linear", {"color": GREEN}),
    (1, 1): ("untied, ReLU", {"color": PINK, "ls": (0, (4, 1.5)), "marker": "s"}),
}
"""(untied, relu): name and look of a line."""


NEEDS = Needs(swept=("T",), one_of=("loss", "untied", "relu"))


def applies(dataset: xr.Dataset) -> str | None:
    """None if losses or models can be compared over T, else why not."""
    return missing(dataset, "variants", ("test_loss",), NEEDS)


def variants_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `variants`: one row per (loss, untied, relu, T), seeds summarised.

    Columns: loss (the power p), untied, relu, T, runs, died, unfinished (seeds still training:
    their losses are those so far), median, min, q25, q75, max over the surviving seeds of the test
    loss divided by what predicting zero scores, inner_maximum (True at the T >= n/10 of the largest
    median of a line whose runs are all trained, if it lies 0.01 and more above both ends), and the
    value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    died, training = failed(dataset, KEEP), unfinished(dataset, KEEP)
    loss = runs(dataset["test_loss"], KEEP).astype(float)
    rows: list[dict[str, Any]] = []
    for index in np.ndindex(died.shape[:4]):
        at = {axis: dataset[axis].values[i].item() for axis, i in zip(KEEP, index, strict=True)}
        counts = {"runs": died.shape[4], "died": died[index].sum()}
        counts |= {"unfinished": training[index].sum()}
        rows.append(at | counts | pooled(loss[index], ~died[index]))
    frame = pd.DataFrame(rows)
    frame["inner_maximum"] = False
    first = BUMP_FROM * fixed(result.dataset)["n"]
    for _, one in frame.groupby(["loss", "untied", "relu"]):
        medians = one[one["median"].notna() & (one["T"] >= first)]
        if len(medians) > 2 and not one["unfinished"].any():
            top, above = inner_maximum(medians["median"].to_numpy())
            frame.loc[medians.index[top], "inner_maximum"] = above >= BUMP
    return tidy(result, frame, taken)


def variants(result: Result, **select: Any) -> Figure:
    """Test loss against T under other losses, with a ReLU, with untied weights (figure H1).

        x' = ReLU(V^T h + b),  h = W x or ReLU(W x),  V = W or free;   loss = sum_i |x_i - x'_i|^p

    A panel per loss, a line per model: the median over seeds of the test loss, divided by what
    predicting zero scores, and the band of the seeds. A line whose largest value from T = n/10 on
    lies above both ends descends twice; its maximum has a ring.

    Arguments:
        result: a result that sweeps T and loss, untied or relu; seed axes are pooled.
        select: values of other swept axes (the first by default), or lists that restrict T, loss,
            untied, relu or a seed axis.

    Returns a Figure. Raises ValueError if T, or all of loss, untied and relu, are not swept.

    Example:
        variants(result, untied=[0]).savefig("variants.png")
    """
    return _draw(variants_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    losses, T = np.sort(table["loss"].unique()), np.sort(table["T"].unique())
    title = "Test loss against data-set size T: other losses, other autoencoders"
    alone = len(losses) == 1
    width, body = (7.6, 4.2) if alone else (2.75 * len(losses) + 2.3, 3.7)
    setting, caption = table.attrs["setting"], _caption(table)
    figure = look.page(width, body, title, setting, caption, key="side")
    grid = figure.subplots(1, len(losses), squeeze=False)[0]
    for axes, loss in zip(grid, losses, strict=True):
        rows = table[table["loss"] == loss]
        look.dress(axes, grid="y")
        axes.set(xscale="log", xlabel="training samples T")
        loss_axis([axes], drawn(rows))
        for (untied, relu), one in rows.groupby(["untied", "relu"]):
            name, how = MODELS[int(untied), int(relu)]
            line(axes, "T", one, alpha=0.12, gid=name, **how)
            top = one[one["inner_maximum"]]
            ring = {"ms": 8, "mfc": "none", "mec": how["color"], "mew": 1.1}
            axes.plot(top["T"], top["median"], "o", gid="inner-maximum", **ring)
        crosses(axes, "T", rows)
        axes.set_title(_loss(int(loss)), loc="left", weight="bold")
        look.log_ticks(axes.xaxis, T, 5.0 if alone else 2.1)
    grid[0].set_ylabel("test loss / that of predicting zero")
    _legend(figure, table)
    return figure


def _loss(power: int) -> str:
    return LOSSES.get(power, f"power {power}")


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    keys: list[Artist] = []
    for untied, relu in table.groupby(["untied", "relu"]).groups:
        name, how = MODELS[int(untied), int(relu)]
        keys.append(Line2D([], [], label=name, **{"lw": 1.5, "marker": "o", "ms": 2.8, **how}))
    if table["inner_maximum"].any():
        ring: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 8, "mfc": "none"}
        keys.append(Line2D([], [], label="inner maximum", mec=INK, mew=1.1, **ring))
    look.page_key(figure, keys + seed_key(table))


def _caption(table: pd.DataFrame) -> list[str]:
    sentences = [
        seed_words(table),
        f"Rings: maxima {BUMP:g} above both ends' losses, T ≥ n/10.",
        lost_words(table),
    ]
    for loss, rows in table.groupby("loss"):
        told, without = [], []
        for (untied, relu), one in rows.groupby(["untied", "relu"]):
            name, top = MODELS[int(untied), int(relu)][0], one[one["inner_maximum"]]
            if len(top):
                told.append(f"{name} ({loss_text(top['median'].iloc[0])})")
            elif not one["unfinished"].any():
                without.append(name)
        parts = [f"in {'; '.join(told)}"] if told else []
        parts += [f"none in {'; '.join(without)}" if told else "none"] if without else []
        if parts:
            sentences.append(f"{_loss(int(loss)).capitalize()}: {', '.join(parts)}.")
    return sentences


VARIANTS = FigureSpec(
    "variants",
    variants_table,
    _draw,
    "test loss against T under other losses, with a ReLU, with untied weights",
    applies,
    NEEDS,
)
