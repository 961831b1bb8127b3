"""What is left of the answers when the plane that the probe reads is kept alone, or removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import crosses, line, lost_words, seed_key, seed_words
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import BLUE, GREEN, INK, PINK, SKY, SOFT, VERMILLION
from superpos_jax.studies.cities.cell import INTERVENTIONS as WORDS

NAME = "interventions"
NONE = "none"
COLOURS = {
    NONE: INK,
    "keep": BLUE,
    "remove": VERMILLION,
    "rescale": PINK,
    "keep_random": SKY,
    "remove_random": GREEN,
}
MARKERS = dict(zip(COLOURS, "osv^sv", strict=True))
QUANTITY = {name: f"{'validation' if name == NONE else name}_accuracy" for name in (NONE, *WORDS)}
DASHES: Any = {"color": SOFT, "lw": 1.0, "ls": (0, (1, 2))}


def applies(dataset: xr.Dataset) -> str | None:
    """None if the interventions are measured, else why not."""
    return missing(dataset, NAME, (*QUANTITY.values(), "chance"))


def interventions_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `interventions`: one row per intervention and number of dimensions.

    Columns: intervention ("none", "keep", "remove", "rescale", "keep_random", "remove_random"),
    emb_dim, runs, died, unfinished, mean, median, min, q25, q75, max of the accuracy over the
    surviving seeds, chance (the most frequent direction's share), the other axes' values.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    keep = ("emb_dim",)
    dataset, taken = narrow(result.dataset, keep, select)
    frames = [
        scalars.summary(dataset, quantity, keep).assign(intervention=name)
        for name, quantity in QUANTITY.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    return tidy(result, table.assign(chance=float(dataset["chance"].mean())), taken)


def interventions(result: Result, **select: Any) -> Figure:
    """Validation accuracy against the dimensions of a vector, after every intervention.

    Both vectors of a pair lose all but their part in the plane of the probe's two directions, or
    that part (the paper's table of interventions). A random plane in its place is the control:
    what a plane's worth of vectors does anyway. In two dimensions the plane is everything.

    Arguments:
        result: of the study cities.
        select: values of other swept axes, or a list that restricts emb_dim.

    Returns a Figure. Raises ValueError where the interventions are not in the result.

    Example:
        interventions(result, lr=1e-3).savefig("interventions.png")
    """
    return _draw(interventions_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    title = "Answers with only the probe's plane, or without it"
    setting, caption = table.attrs["setting"], _caption(table)
    words = {NONE: "as trained", **WORDS, "rescale": "the plane removed, norms restored"}
    room = look.side_room(words.values())
    figure = look.page(5.6 + room, 3.5, title, setting, caption, key="side", room=room)
    axes = figure.subplots()
    look.dress(axes, grid="y")
    for name, colour in COLOURS.items():
        rows = table[table["intervention"] == name]
        line(axes, "emb_dim", rows, color=colour, marker=MARKERS[name], ms=4)
    axes.axhline(table["chance"].iloc[0], **DASHES)
    crosses(axes, "emb_dim", table)
    axes.set(xscale="log", ylim=(0, 1.02), ylabel="accuracy on validation pairs")
    axes.set_xlabel("dimensions of a place's vector")
    look.log_ticks(axes.xaxis, np.sort(table["emb_dim"].unique()), 4.8)
    keys: list[Artist] = [
        Line2D([], [], color=COLOURS[name], lw=1.5, marker=MARKERS[name], ms=4, label=words[name])
        for name in COLOURS
    ]
    keys.append(Line2D([], [], label="always the commonest answer", **DASHES))
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    return [
        "Task: in which of 8 compass directions one city lies from another.",
        seed_words(table),
        "The plane: the two axes in which a linear probe reads latitude and longitude; all of a"
        " vector in 2 dimensions. To keep only it sets the rest to its mean over places.",
        lost_words(table[table["intervention"] == NONE]),
    ]


INTERVENTIONS = FigureSpec(
    NAME,
    interventions_table,
    _draw,
    "accuracy with and without the plane that a probe reads, over emb_dim",
    applies,
)
