"""Feature vectors above hidden vectors, for models with two hidden dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax.drawing.needs import Needs, NoAxisError, missing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import page, style
from superpos_jax.engine.verdicts import NON_FINITE, UNFINISHED
from superpos_jax.results.runs import axes, fixed
from superpos_jax.studies.double_descent.figures.selection import narrow, tidy
from superpos_jax.studies.double_descent.figures.story import vectors_story
from superpos_jax.studies.double_descent.figures.vector_panels import (
    ARRAYS,
    KINDS,
    at_m2,
    draw_vectors,
    lacks_weights,
    regime_words,
    scale_words,
    spread,
    vector_rows,
)
from superpos_jax.studies.double_descent.labels import SEEDS

ROWS = {"both": ("feature", "hidden"), "feature": ("feature",), "hidden": ("hidden",)}
TITLES = {
    "both": "Feature vectors and hidden vectors",
    "feature": "Feature vectors",
    "hidden": "Hidden vectors",
}


NEEDS = Needs(holds={"m": 2}, options={"save_weights": True})


def applies(dataset: xr.Dataset) -> str | None:
    """None if vectors can be drawn in the plane, else why not."""
    return lacks_weights(dataset, "vectors") or missing(dataset, "vectors", (), NEEDS)


def vectors_table(
    result: Result, scale: str = "panel", rows: str = "both", **select: Any
) -> pd.DataFrame:
    """The numbers of `vectors`: one row per vector.

    Columns: T (or the axis that the columns of the figure are by), kind ("feature" or
    "hidden"), index (of the feature or sample), rank (0 is the longest), count (vectors of this
    kind), long (those longer than half of the longest), x, y, half_width (of the panel), regime,
    died_at (-1: alive), and the value of every other swept axis. Of more than 400 vectors the 100
    longest stay (of features all long ones, up to 400), and 300 of the others at evenly spaced
    ranks of length. A panel without vectors has one row of NaN, rank -1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    for name, value, allowed in (("scale", scale, ("panel", "common")), ("rows", rows, ROWS)):
        if value not in allowed:
            words = " or ".join(f'"{word}"' for word in allowed)
            raise ValueError(f"{name} is {words}, not {value!r}")
    swept, shared = axes(result.dataset), fixed(result.dataset)
    wanted = at_m2(result.dataset, "vectors", select)
    across = _across(result.dataset, wanted)
    dataset, taken = narrow(result.dataset, (across,), wanted, pool=())
    if across != "T" and "T" not in swept:
        if "T" not in shared:
            raise NoAxisError("T")
        taken = {"T": shared["T"], **taken}
    shown = dataset[across].values
    frames = []
    for value in shown if across in select else spread(shown):
        here = dataset.sel({across: value})
        where = {**taken, across: value.item()}
        W = H = np.zeros((0, 2))
        trained = int(here["verdict"]) not in (NON_FINITE, UNFINISHED)
        if trained and bool(here["W"].isnull().all()):
            W, H = np.full((here["W"].shape[-1], 2), np.nan), np.full((where["T"], 2), np.nan)
        elif trained:
            cell = result.cell(**{axis: where[axis] for axis in swept})
            W, H = np.asarray(cell.W).T, np.asarray(cell.H)
        arrays = {"feature": W, "hidden": H}
        frames += [vector_rows(arrays[kind], kind, here, across, value) for kind in ROWS[rows]]
    frame = pd.concat(frames, ignore_index=True)
    length = np.hypot(frame["x"], frame["y"])
    by = ["kind", across] if scale == "panel" else ["kind"]
    frame["half_width"] = 1.08 * length.groupby([frame[key] for key in by]).transform("max")
    frame = tidy(result, frame, taken)
    frame.attrs |= {
        "across": across,
        "scale": scale,
        "online": bool({**shared, **taken}.get("online")),
    }
    return frame


def _across(dataset: xr.Dataset, select: Mapping[str, Any]) -> str:
    """The axis of the columns: T, or where it has one value another with several, seeds last."""
    others = [axis for axis in axes(dataset) if axis not in ("T", "m", *SEEDS)]
    for axis in ("T", *others, *SEEDS):
        held = dataset[axis].values if axis in axes(dataset) else ()
        if np.size(select.get(axis, held)) > 1:
            return axis
    return "T"


def vectors(result: Result, scale: str = "panel", rows: str = "both", **select: Any) -> Figure:
    """Columns of W (blue) above hidden vectors h = W x (vermillion), by T (figure P2 of the study).

    Memorizing models hold samples as the corners of regular T-gons while their features look like
    noise; generalizing ones hold a few features as a polygon, and the samples spread along them.
    Where T has one value the columns are by another axis that has several, or by seed: five
    features on a pentagon where the data are infinite, `online = 1` (figure P1).

    Arguments:
        result: a result with m = 2 and stored weights.
        scale: "panel" fits each panel to its longest vector, "common" draws a row on one scale.
        rows: "both", or only the "feature" or the "hidden" vectors.
        select: `T=[3, 5, 8]` chooses the columns (8 spread over the swept T by default),
            `seed=1` the seed (the first by default), and so on for any swept axis.

    Returns a Figure. Raises ValueError without m = 2 or without W.

    Example:
        vectors(result, T=[3, 5, 8, 1000], seed=1).savefig("vectors.png")
    """
    return _draw(vectors_table(result, scale, rows, **select))


@style
def _draw(table: pd.DataFrame) -> Figure:
    across, scale = table.attrs["across"], table.attrs["scale"]
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    columns = table[across].nunique()
    title = TITLES["both" if len(kinds) == 2 else kinds[0]] + " at m = 2"
    width = max(1.42 * columns + 0.75, 6.4)
    body = 0.35 + 1.6 * len(kinds)
    figure = page(width, body, title, table.attrs["setting"], _caption(scale, table))
    draw_vectors(figure.subplots(len(kinds), columns, squeeze=False), table, across)
    return figure


def _caption(scale: str, table: pd.DataFrame) -> list[str]:
    sentences = ["One model per column."]
    if table.attrs["online"]:
        text = "Every step drew T new samples"
        if (table["kind"] == "hidden").any():
            text += "; hidden vectors are of T others, never trained on"
        sentences.append(f"{text}.")
    if table["kind"].nunique() == 2:
        sentences += regime_words(table)
    return sentences + scale_words(table, scale)


VECTORS = FigureSpec(
    "vectors",
    vectors_table,
    _draw,
    "feature vectors above hidden vectors at selected T, or by another axis, m = 2",
    applies,
    NEEDS,
    ARRAYS,
    vectors_story,
)
